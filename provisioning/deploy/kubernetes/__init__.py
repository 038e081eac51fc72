"""Kubernetes objects for a site, as plain data: broker, clock, fleet, recorder, and what they read."""
