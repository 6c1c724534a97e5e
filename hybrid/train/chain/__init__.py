"""What chain models are trained on: trees, phone sequences and supervision, from alignments, lattices or texts."""
