"""Algorithms on transducers (composition, minimisation, pushing, removal of epsilons) that know nothing of speech."""
