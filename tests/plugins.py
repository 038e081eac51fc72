"""Puts a kind of device, a clearing rule or an offer ranking in the place of another for the time of a test."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from gridfleet.devices.plugins import Named, Registry

P = TypeVar("P", bound=Named)


@contextmanager
def registered(registry: Registry[P], plugin: P) -> Iterator[None]:
    """Register a plug-in, also in the place of a shipped one, until the end of the block."""
    registry.register(plugin, replace=True)
    try:
        yield
    finally:
        registry.forget(plugin.name)
