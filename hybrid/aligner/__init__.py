"""The aligner: speech and its text, long recordings, what is wrong where it fails, cleaning of corpora."""
