"""The figures of a run, and how they look."""
