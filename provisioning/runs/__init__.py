"""A run from its first tick to its report, and many of them side by side."""
