"""Synthetic speech: espeak-ng's voices, noise, speed, and whole corpora of it (extra `synth`)."""
