"""One file, one merge method."""
