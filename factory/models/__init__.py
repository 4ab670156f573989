"""Bases: where a model comes from, how it is loaded, how it generates."""
