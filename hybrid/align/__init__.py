"""Alignment of speech with known text: flat start, Viterbi within a beam or a band, whole sets."""
