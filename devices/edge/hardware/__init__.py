"""Sensors and switches of a device: read and decided in a control loop of its own, apart from the market."""
