"""Shared by the tests of hardware."""

from collections.abc import Callable

from gridfleet.devices.edge.hil.bench import Bench

MakeBench = Callable[[str], Bench]
