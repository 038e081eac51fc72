"""Physics of wind, batteries, vehicles and demand: one relation per function; no I/O, no clock, no randomness."""
