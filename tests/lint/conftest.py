"""What the forecast is compared with."""

from tests.tiny_recogniser import tiny

__all__ = ["tiny"]
