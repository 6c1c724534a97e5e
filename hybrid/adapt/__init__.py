"""Speaker transforms: estimated from alignments or lattices, and the passes that use them."""
