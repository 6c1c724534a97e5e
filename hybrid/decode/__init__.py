"""Decoding: a system of model, graph and engine; sets of utterances; what was recognised."""
