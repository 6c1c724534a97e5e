"""A tiny model to write for other toolkits."""

from tests.tiny_recogniser import tiny

__all__ = ["tiny"]
