"""Flashing: writes SD cards and images that make a Raspberry Pi a GridFleet device at its first boot."""
