"""What is decoded with."""

from tests.tiny_recogniser import bursts, hybrid, save_wav, tiny

__all__ = ["bursts", "hybrid", "save_wav", "tiny"]
