"""The commands of `hybrid lattice`, by what they do; `hybrid.cli.lattice` is the group."""
