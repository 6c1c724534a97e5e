"""Before anything is determinised: what is wrong with a lexicon and a grammar, and what their graph will cost."""
