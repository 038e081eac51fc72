"""The liars of a chaos plan: their keys, and how the site is checked while one of them lies."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Final

from pydantic import Field, field_validator

from gridfleet.broker.protocol.messages import ID_PATTERN, Role
from gridfleet.devices.plugins import PluginError
from gridfleet.devices.trust.liars.lying_devices import LyingDevice
from gridfleet.devices.trust.liars.registry import LIES
from gridfleet.provisioning.chaos.faults import MIN_TICK, PlanTable
from gridfleet.provisioning.chaos.observations import Named, Observations
from gridfleet.provisioning.chaos.verdict import RecoveryCheck

JUDGED_TICKS: Final = 8
"""A lie is judged after so many ticks."""
SERVED_AFTER: Final = 4
"""The honest are served again from so many ticks after a lie begins."""
SERVED_PERCENT: Final = 98
DeviceId = Annotated[str, Field(pattern=ID_PATTERN)]


class PlannedLiar(PlanTable):
    """A device that lies, from a tick to the end."""

    device: DeviceId
    lie: str
    tick: Annotated[int, Field(ge=MIN_TICK, le=1_000_000)]
    """The first tick in which it lies."""
    partner: DeviceId | None = None
    """The other device of a lie of two."""
    provable: bool = True
    """Whether the auditor must name the device."""

    @field_validator("lie")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            LIES.get(name)
        except PluginError as error:
            raise ValueError(str(error)) from error
        return name

    @property
    def lying(self) -> LyingDevice:
        """The device as `--liars` writes it."""
        return LyingDevice(self.device, self.lie, self.tick, self.partner or "")

    @property
    def description(self) -> str:
        """The lie as text."""
        return f"{self.device} lies: {LIES.get(self.lie).description}"


def check_lie(
    observations: Observations,
    liar: PlannedLiar,
    liars: Iterable[str],
    roles: Mapping[str, Role],
) -> list[RecoveryCheck]:
    """Return the checks of the ticks in which a device has begun to lie.

    `liars` are the devices that lie already, `roles` those of all devices.
    """
    known = frozenset(liars)
    checks = [
        _nobody_else(observations.named, known),
        _served(observations, liar, known, roles),
        _online(observations, roles),
    ]
    return [_is_named(liar, observations.named), *checks] if liar.provable else checks


def _is_named(liar: PlannedLiar, named: Mapping[str, Named]) -> RecoveryCheck:
    name, found = "the liar is named", named.get(liar.device)
    if found is None:
        return RecoveryCheck(
            name, holds=False, text=f"nobody has named {liar.device} in {JUDGED_TICKS} ticks"
        )
    suspension = found.suspension
    text = f"in tick {found.tick}, {found.tick - liar.tick} after it began: {suspension.lie}: {suspension.evidence}"
    return RecoveryCheck(name, holds=True, text=text)


def _nobody_else(named: Mapping[str, Named], liars: frozenset[str]) -> RecoveryCheck:
    wrong = [
        f"{device}: {found.suspension.lie}: {found.suspension.evidence}"
        for device, found in sorted(named.items())
        if device not in liars
    ]
    text = "; ".join(wrong) or f"named are {', '.join(sorted(named)) or 'none'}"
    return RecoveryCheck("nobody honest is named", not wrong, text)


def _served(
    observations: Observations, liar: PlannedLiar, liars: frozenset[str], roles: Mapping[str, Role]
) -> RecoveryCheck:
    """What honest consumers bid for is what they have bought: a grid supply serves them where producers do not."""
    consumers = [device for device, role in roles.items() if role is Role.CONSUMER and device not in liars]
    wanted_wh = bought_wh = 0
    for tick in range(liar.tick + SERVED_AFTER, liar.tick + JUDGED_TICKS):
        bids, accounts = observations.market(tick).bids, observations.accounts.get(tick, {})
        for device in consumers:
            wanted_wh += sum(package.energy_wh for package in bids.get(device, ()))
            account = accounts.get(device)
            bought_wh += account.bought_wh if account is not None else 0
    holds = wanted_wh > 0 and bought_wh * 100 >= wanted_wh * SERVED_PERCENT
    text = f"{len(consumers)} consumers bought {bought_wh / 1000:.0f} of {wanted_wh / 1000:.0f} kWh"
    return RecoveryCheck("the honest are served", holds, text)


def _online(observations: Observations, roles: Mapping[str, Role]) -> RecoveryCheck:
    missing = sorted(roles.keys() - observations.online)
    text = f"missing: {', '.join(missing[:3])}" if missing else f"{len(roles)} devices"
    return RecoveryCheck("all devices are online", not missing, text)
