"""Upgrade of a device: bundles, installed versions, upgrade and rollback.

The first boot runs these modules from the wheel with the system's Python: they need only the standard library.
"""
