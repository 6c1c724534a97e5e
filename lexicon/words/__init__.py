"""What a word is: blanks, spellings, the normaliser, lists of pronunciations as people have them."""
