"""Fewer subscriptions or connections for the devices of one process: one connection for all, or one tick for all."""
