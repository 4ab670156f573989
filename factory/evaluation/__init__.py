"""Cells: one variant on one benchmark, every item's outcome kept."""
