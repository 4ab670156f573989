"""What runs inside the sandbox. Standard library only, and loaded by an interpreter that knows nothing of `factory`."""
