"""Commands on neural language models, of `hybrid lm`."""
