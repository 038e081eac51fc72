"""The checks of `gridfleet device doctor`: the machine, what the device file needs, the connection to the broker."""
