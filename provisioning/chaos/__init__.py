"""Chaos experiments: faults injected into a site of real processes by a plan, and checks of its recovery."""
