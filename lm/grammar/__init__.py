"""Grammars of what may be said: read from JSGF and SRGS, weighted, compiled to G, parsed for tags."""
