"""Runs agents: in the simulation, or on a broker in one process or several."""
