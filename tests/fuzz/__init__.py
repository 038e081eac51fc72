"""Mutated real inputs for every reader, random command lines, signals and full disks at random instants."""
