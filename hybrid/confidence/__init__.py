"""How sure a word and an utterance are: facts from lattices, calibration on held-out speech, measures, deferral."""
