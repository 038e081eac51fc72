"""The roles of devices as base classes: what a device of each role publishes, whatever its kind."""
