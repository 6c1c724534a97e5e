"""What lattice-free MMI is trained with, out of trees, topologies and alignments: denominator and supervision."""
