"""Mosquitto: its configuration, and one of our own in a child process."""
