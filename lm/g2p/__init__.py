"""Grapheme to phoneme: a joint n-gram over letters and phones guesses how unknown words are spoken."""
