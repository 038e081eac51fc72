"""Devices that lie on demand: each lie is a wrapper around an honest agent, for trials of a site's defences."""
