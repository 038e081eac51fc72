"""Readers of the files that weather services publish: one module per format, each with a `Format`."""
