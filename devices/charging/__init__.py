"""Charging reservations as pure rules: offers, leases, ranking, reputation."""
