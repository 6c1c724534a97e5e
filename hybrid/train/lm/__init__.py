"""Training of neural language models, by the loop that trains networks."""
