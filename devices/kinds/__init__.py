"""The kinds of device: for each its settings, role, and how its agent is built; entry points add others."""
