"""Corpora as lhotse manifests, their checks, and reading of audio."""
