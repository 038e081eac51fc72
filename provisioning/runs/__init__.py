"""The lifecycle of a run from its first tick to its report, and batches of runs."""
