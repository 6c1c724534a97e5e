"""`hybrid lang` and `hybrid lm`, and the options of all commands that read texts."""
