"""Graphs: training graphs of utterances, and the decoding graph HCLG."""
