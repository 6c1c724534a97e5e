"""Second passes over lattices: scores taken out and put in, arc by arc."""
