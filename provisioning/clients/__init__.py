"""Clients of a running site: they watch it and change its settings."""
