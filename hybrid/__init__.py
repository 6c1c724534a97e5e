"""A classic hybrid HMM speech recogniser. Imports nothing, so that `lexicon` and `lm` stand on their own."""
