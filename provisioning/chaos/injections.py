"""Carries out the faults of a plan on a testbed: inject, lift, and report when all affected devices have recovered."""

import math
import random
import time
from typing import Final

from gridfleet.broker.mqtt.connection import Connection
from gridfleet.provisioning.chaos.faults import (
    DuplicateId,
    Fault,
    KillBroker,
    KillDevices,
    Partition,
    ReconnectStorm,
    Stall,
)
from gridfleet.provisioning.chaos.testbed import BROKER, CLOCK, Testbed

STABLE_S: Final = 1.0
"""How long a device must stay online after a fight for its client id, in seconds."""


class FaultInjection:
    """One fault on a testbed: `inject` it, wait, `lift` it; then `recovered` is true once all devices are back."""

    def __init__(self, testbed: Testbed, affected: frozenset[str]) -> None:
        self.testbed = testbed
        self.affected = affected
        """Ids of the devices that lose their connection or their process."""
        self.restarted: frozenset[str] = frozenset()
        """Ids of the devices that restart without memory."""
        self._births: dict[str, int] = {}

    def inject(self) -> None:
        """Begin the fault."""
        self._count_births()

    def lift(self) -> None:
        """End the fault."""

    @property
    def recovered(self) -> bool:
        """Whether every affected device has published a birth message since the fault began."""
        births = self.testbed.observations.births
        return all(births.get(device, 0) > count for device, count in self._births.items())

    def _count_births(self) -> None:
        births = self.testbed.observations.births
        self._births = {device: births.get(device, 0) for device in self.affected}


def make_injection(fault: Fault, testbed: Testbed, rng: random.Random) -> FaultInjection:
    """Return the injection of a fault; `rng` chooses the processes where the plan does not."""
    all_ids = frozenset({CLOCK, *testbed.fleet.ids})
    match fault:
        case KillBroker():
            return _KillBroker(testbed, all_ids)
        case KillDevices():
            count = max(1, math.floor(fault.share * len(testbed.fleet_processes)))
            return _KillDevices(testbed, sorted(rng.sample(testbed.fleet_processes, count)))
        case Stall():
            return _Stall(testbed, fault.target)
        case Partition():
            return _Partition(testbed, fault.target, silent=fault.silent)
        case DuplicateId():
            return _DuplicateId(testbed, fault.target)
        case ReconnectStorm():
            return _ReconnectStorm(testbed, all_ids, fault)


class _KillBroker(FaultInjection):
    def inject(self) -> None:
        super().inject()
        self.testbed.broker.kill()

    def lift(self) -> None:
        self.testbed.broker.restart()


class _KillDevices(FaultInjection):
    def __init__(self, testbed: Testbed, processes: list[str]) -> None:
        devices = frozenset[str]().union(*map(testbed.devices_of, processes))
        super().__init__(testbed, devices)
        self.restarted = devices
        self._processes = processes

    def inject(self) -> None:
        super().inject()
        for name in self._processes:
            self.testbed.subprocesses[name].kill()

    def lift(self) -> None:
        for name in self._processes:
            self.testbed.subprocesses[name].start()


class _Stall(FaultInjection):
    """A short stall ends no connection, so that the site has recovered with the next tick message."""

    def __init__(self, testbed: Testbed, target: str) -> None:
        super().__init__(testbed, frozenset())
        self._process = testbed.broker if target == BROKER else testbed.subprocesses[target]
        self._ticks_received = 0

    def inject(self) -> None:
        super().inject()
        self._process.suspend()

    def lift(self) -> None:
        self._ticks_received = len(self.testbed.observations.ticks)
        self._process.resume()

    @property
    def recovered(self) -> bool:
        return len(self.testbed.observations.ticks) > self._ticks_received


class _Partition(FaultInjection):
    def __init__(self, testbed: Testbed, target: str, *, silent: bool) -> None:
        super().__init__(testbed, frozenset() if silent else testbed.devices_of(target))
        self._proxy = testbed.proxies[target]
        self._silent = silent
        self._ticks_received = 0

    def inject(self) -> None:
        super().inject()
        if self._silent:
            self._proxy.hold()
        else:
            self._proxy.refuse()

    def lift(self) -> None:
        self._ticks_received = len(self.testbed.observations.ticks)
        self._proxy.restore()

    @property
    def recovered(self) -> bool:
        return super().recovered and len(self.testbed.observations.ticks) > self._ticks_received


class _DuplicateId(FaultInjection):
    """The second client has its own session, subscribes to nothing, and reconnects whenever it is disconnected."""

    def __init__(self, testbed: Testbed, target: str) -> None:
        super().__init__(testbed, frozenset({target}))
        self._target = target
        self._duplicate: Connection | None = None
        self._lifted_s = 0.0

    def inject(self) -> None:
        self._duplicate = self.testbed.loop.open(self._target, on_message=lambda *_: None)

    def lift(self) -> None:
        self._count_births()
        self._lifted_s = time.monotonic()
        if self._duplicate is not None:
            self._duplicate.abort()

    @property
    def recovered(self) -> bool:
        """Whether the device has published a birth message, or was online at the end and has stayed so."""
        online = self._target in self.testbed.observations.online
        return super().recovered or (online and time.monotonic() - self._lifted_s > STABLE_S)


class _ReconnectStorm(FaultInjection):
    def __init__(self, testbed: Testbed, all_ids: frozenset[str], fault: ReconnectStorm) -> None:
        super().__init__(testbed, all_ids)
        self._remaining = fault.times
        self._every_s = fault.every_s

    def inject(self) -> None:
        self._reset_connections()

    def _reset_connections(self) -> None:
        self._count_births()
        self._remaining -= 1
        for proxy in self.testbed.proxies.values():
            proxy.reset()
        if self._remaining:
            self.testbed.loop.call_later(self._every_s, self._reset_connections)

    @property
    def recovered(self) -> bool:
        """Whether every device has published a birth message since the last reset."""
        return not self._remaining and super().recovered
