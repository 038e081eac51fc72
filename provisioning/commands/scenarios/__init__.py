"""Commands for scenarios: list, show, check."""
