"""The local store of a run: one SQLite file with a table for each kind of row."""
