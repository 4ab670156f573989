"""Isolation of untrusted code; knows nothing about tasks.

`check` runs code against tests, `pool_of(kind).use(...)` reaches workers, `probe` says what this machine can do.
"""

from factory.sandbox.probe import Layers, probe, require

__all__ = ["Layers", "probe", "require"]
