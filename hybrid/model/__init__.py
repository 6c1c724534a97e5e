"""Acoustic models: what the package asks of one, the kinds there are, and a model as a value and a folder."""
