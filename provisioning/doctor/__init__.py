"""The checks of `gridfleet doctor`: the machine, what the device file needs, and the connection to the broker."""
