"""Features: extraction to Kaldi's definitions, CMVN, deltas, splicing, and their storage."""
