"""A study's plan, a graph of jobs keyed by content hash, and where they run."""
