"""Lattices: arrays, Kaldi archives, best paths, pruning, posteriors, oracle, times."""
