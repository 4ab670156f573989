"""Pure functions (completion, reference) -> Verdict; one file for each kind of answer."""
