"""The commands that decode: `hybrid decode` and `hybrid gmm decode-fmllr`."""
