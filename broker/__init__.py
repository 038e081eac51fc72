"""What is said, under which topic, over which wire."""
