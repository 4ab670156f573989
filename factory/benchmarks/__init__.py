"""One file, one benchmark; a task's held-out split is one without a file."""
