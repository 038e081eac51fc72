"""How it reaches a machine: command line, flashing, units, certificates and files."""
