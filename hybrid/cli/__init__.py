"""The `hybrid` command: one file per group, each a parser around library calls."""
