"""Forms of lattices in files: Kaldi's two, HTK's SLF, JSON lines; `hybrid.lattice.archive` is their door."""
