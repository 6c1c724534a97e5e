"""Several systems' results as one: votes of words (ROVER), of confusion networks, and of whole lattices."""
