"""Looks over a device and its surroundings, and says of each thing whether it is well and what to do."""
