"""One HTML file that opens offline."""
