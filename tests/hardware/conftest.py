"""Shared by the tests of hardware."""

from collections.abc import Callable

from devices.hil.bench import Bench

MakeBench = Callable[[str], Bench]
