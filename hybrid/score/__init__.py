"""Scores: error rates with their uncertainty, sweeps of the decoding weights, confusions, tables of results."""
