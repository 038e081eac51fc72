"""What comes from outside: readers, damaged files, servers that are something else."""
