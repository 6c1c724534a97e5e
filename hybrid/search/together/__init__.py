"""Utterances side by side on a device (`hybrid.lanes`): whole ones and streams, and lattices of what was found."""
