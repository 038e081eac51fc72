"""What runs on the device beside its agent: first boot, versions, upgrade and rollback.

The first boot runs these modules out of the wheel, with the system's Python: they need the standard library alone.
"""
