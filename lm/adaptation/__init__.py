"""A language model for a domain by text alone: in-domain sentences chosen, models mixed, unigrams of the domain."""
