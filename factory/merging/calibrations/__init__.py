"""One file, one calibration of the inputs before a merge."""
