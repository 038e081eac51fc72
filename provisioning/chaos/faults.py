"""What each fault of a plan does to a stage: who is affected, how it strikes, how it is lifted, when all are back."""

import math
import random
import time
from typing import Final

from gridfleet.broker.mqtt.connection import Connection
from gridfleet.provisioning.chaos.plan import (
    DuplicateId,
    Fault,
    KillBroker,
    KillDevices,
    Partition,
    ReconnectStorm,
    Stall,
)
from gridfleet.provisioning.chaos.testbed import BROKER, CLOCK, Testbed

QUIET_S: Final = 1.0


class FaultInjection:
    """One fault on a stage: `begin` it, let it last, `end` it; then `back` tells whether everybody is."""

    def __init__(self, stage: Testbed, affected: frozenset[str]) -> None:
        self.stage = stage
        self.affected = affected
        """The ids of those who lose their connection, or their life."""
        self.reborn: frozenset[str] = frozenset()
        """The ids of those who lose their memory."""
        self._births: dict[str, int] = {}

    def begin(self) -> None:
        """Strike."""
        self._count()

    def end(self) -> None:
        """Lift the fault."""

    @property
    def back(self) -> bool:
        """Whether everybody who was affected has said since then that it lives."""
        births = self.stage.evidence.births
        return all(births.get(agent, 0) > count for agent, count in self._births.items())

    def _count(self) -> None:
        births = self.stage.evidence.births
        self._births = {agent: births.get(agent, 0) for agent in self.affected}


def strike_of(fault: Fault, stage: Testbed, rng: random.Random) -> FaultInjection:
    """Return what a fault does; the generator chooses whom, where the plan does not say."""
    everybody = frozenset({CLOCK, *stage.fleet.ids})
    match fault:
        case KillBroker():
            return _KillBroker(stage, everybody)
        case KillDevices():
            count = max(1, math.floor(fault.share * len(stage.parts)))
            return _KillDevices(stage, sorted(rng.sample(stage.parts, count)))
        case Stall():
            return _Stall(stage, fault.who)
        case Partition():
            return _Partition(stage, fault.who, silent=fault.silent)
        case DuplicateId():
            return _DuplicateId(stage, fault.who)
        case ReconnectStorm():
            return _ReconnectStorm(stage, everybody, fault)


class _KillBroker(FaultInjection):
    def begin(self) -> None:
        super().begin()
        self.stage.engine.kill()

    def end(self) -> None:
        self.stage.engine.restart()


class _KillDevices(FaultInjection):
    def __init__(self, stage: Testbed, processes: list[str]) -> None:
        devices = frozenset[str]().union(*map(stage.devices_of, processes))
        super().__init__(stage, devices)
        self.reborn = devices
        self._processes = processes

    def begin(self) -> None:
        super().begin()
        for name in self._processes:
            self.stage.children[name].kill()

    def end(self) -> None:
        for name in self._processes:
            self.stage.children[name].start()


class _Stall(FaultInjection):
    """Nobody loses a connection, if it does not take too long: then all is back at once."""

    def __init__(self, stage: Testbed, who: str) -> None:
        super().__init__(stage, frozenset())
        self._target = stage.engine if who == BROKER else stage.children[who]
        self._heard = 0

    def begin(self) -> None:
        super().begin()
        self._target.freeze()

    def end(self) -> None:
        self._heard = len(self.stage.evidence.ticks)
        self._target.thaw()

    @property
    def back(self) -> bool:
        return len(self.stage.evidence.ticks) > self._heard


class _Partition(FaultInjection):
    def __init__(self, stage: Testbed, who: str, *, silent: bool) -> None:
        super().__init__(stage, frozenset() if silent else stage.devices_of(who))
        self._proxy = stage.proxies[who]
        self._silent = silent
        self._heard = 0

    def begin(self) -> None:
        super().begin()
        if self._silent:
            self._proxy.hold()
        else:
            self._proxy.refuse()

    def end(self) -> None:
        self._heard = len(self.stage.evidence.ticks)
        self._proxy.restore()

    @property
    def back(self) -> bool:
        return super().back and len(self.stage.evidence.ticks) > self._heard


class _DuplicateId(FaultInjection):
    """The other client has a session of its own, hears nothing, and comes back whenever it is thrown out."""

    def __init__(self, stage: Testbed, who: str) -> None:
        super().__init__(stage, frozenset({who}))
        self._who = who
        self._double: Connection | None = None
        self._ended_s = 0.0

    def begin(self) -> None:
        self._double = self.stage.loop.open(self._who, on_message=lambda *_: None)

    def end(self) -> None:
        self._count()
        self._ended_s = time.monotonic()
        if self._double is not None:
            self._double.abort()

    @property
    def back(self) -> bool:
        """It is when it has said so; or, where it had the better of the other one, when it stays."""
        stays = self._who in self.stage.evidence.alive and time.monotonic() - self._ended_s > QUIET_S
        return stays or super().back


class _ReconnectStorm(FaultInjection):
    def __init__(self, stage: Testbed, everybody: frozenset[str], fault: ReconnectStorm) -> None:
        super().__init__(stage, everybody)
        self._left = fault.times
        self._every_s = fault.every_s

    def begin(self) -> None:
        self._cut()

    def _cut(self) -> None:
        self._count()
        self._left -= 1
        for proxy in self.stage.proxies.values():
            proxy.cut()
        if self._left:
            self.stage.loop.call_later(self._every_s, self._cut)

    @property
    def back(self) -> bool:
        """Whether everybody is, after the last cut."""
        return not self._left and super().back
