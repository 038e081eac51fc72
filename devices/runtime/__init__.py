"""What runs agents: the simulation, and MQTT with one process or many."""
