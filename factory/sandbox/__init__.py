"""Isolation of untrusted code; knows nothing about tasks."""
