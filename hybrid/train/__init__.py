"""Training schedules, and only they: each puts together what the other rooms do."""
