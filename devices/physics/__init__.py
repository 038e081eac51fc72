"""Relations of the physical world, one per function, units in every name; no I/O, no clock, no chance."""
