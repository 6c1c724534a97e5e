"""Lexicons: words, their pronunciations, and the transducer L between phones and words."""
