"""Sensors and switches of a device, and the control loop that reads and drives them, apart from the agent."""
