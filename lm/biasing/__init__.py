"""Phrases that a search is to prefer, or to avoid: lists as people write them, and their automaton over words."""
