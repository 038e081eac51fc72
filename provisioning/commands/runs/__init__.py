"""Commands for scenarios and runs."""
