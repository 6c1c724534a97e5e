"""What made the lattices that are rescored."""

from tests.tiny_recogniser import tiny

__all__ = ["tiny"]
