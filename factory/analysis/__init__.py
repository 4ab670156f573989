"""Numbers from cells: intervals, transfer, interference, retention."""
