"""What a site says of its devices: the limits of their registration, and who is suspended for a lie."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Annotated, ClassVar, Final

from pydantic import ConfigDict, Field

from gridfleet.broker.protocol.frozen import frozen
from gridfleet.broker.protocol.messages.base import (
    STRICT,
    EnergyWh,
    Message,
    PowerW,
    PriceUeur,
    Serial,
    ShortText,
    TickNumber,
)
from gridfleet.broker.readers.json_values import json_text

Verify = Callable[[bytes, str], bool]
"""Returns whether the site's CA has signed these bytes: the second argument is the signature, in base64."""
MAX_EVIDENCE: Final = 600
"""The longest text of a suspension's evidence, in characters."""
MAX_SIGNATURE: Final = 128
"""The longest signature, in characters of base64."""
NO_LIMIT_WH: Final = 10**12
NO_LIMIT_W: Final = 10**12
NO_LIMIT_UEUR: Final = 10**9


@frozen
class Limits:
    """What a device may be believed in, by its registration; without a limit, the largest value of a message."""

    sells_wh: EnergyWh = NO_LIMIT_WH
    """The most that it sells in a tick."""
    buys_wh: EnergyWh = NO_LIMIT_WH
    """The most that it bids for in a tick."""
    price_ueur_per_kwh: PriceUeur = NO_LIMIT_UEUR
    """The highest price that it bids."""
    capacity_wh: EnergyWh = NO_LIMIT_WH
    """The energy that its battery holds."""
    ports: Serial = 2**31 - 1
    """Its charging ports."""
    power_w: PowerW = NO_LIMIT_W
    """The most power of one port, or with which a vehicle charges."""
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@frozen
class Registration(Message):
    """An entry of the site's register, by the clock: what a device, or each of a group, may be believed in. Retained.

    The scope of its topic is the device's id, or the prefix of the group's ids.
    """

    TYPE = "registration"
    devices: Serial
    """How many devices the group has: `<prefix>-1` and so on; 0 for the one device of that id."""
    limits: Limits
    signature: Annotated[str, Field(max_length=MAX_SIGNATURE, pattern="^[A-Za-z0-9+/=]*$")] = ""
    """The signature of the site's CA over `signed_bytes`, in base64; empty at a site without a CA."""

    def states(self, entry: "Registration") -> bool:
        """Return whether another entry states the same; the signatures may differ."""
        return (self.devices, self.limits) == (entry.devices, entry.limits)

    def signed_bytes(self, site: str, subject: str) -> bytes:
        """Return what is signed: this entry as that of one device or prefix of one site.

        >>> Registration(3, Limits(ports=2)).signed_bytes("home", "charger")[:53]
        b'{"devices":3,"limits":{"buys_wh":1000000000000,"capac'
        """
        entry = {"site": site, "subject": subject, "devices": self.devices, "limits": asdict(self.limits)}
        return json_text(entry, sort_keys=True, separators=(",", ":")).encode()


NO_LIMITS: Final = Limits()
"""The limits of a device that the register does not know."""


def find_limits(entries: Mapping[str, Registration], device: str) -> Limits:
    """Return the limits of a device by its own entry, or by that of the group of its prefix.

    >>> group = Registration(3, Limits(ports=2))
    >>> find_limits({"charger": group}, "charger-3").ports, find_limits({"charger": group}, "charger-4").ports
    (2, 2147483647)
    """
    own = entries.get(device)
    if own is not None and not own.devices:
        return own.limits
    prefix, _, number = device.rpartition("-")
    group = entries.get(prefix)
    if group is None or not number.isdecimal() or not 1 <= int(number) <= group.devices:
        return NO_LIMITS
    return group.limits


@frozen
class Suspension(Message):
    """The sender's judgement of a device: a provable lie, and until when nobody deals with the device. Retained.

    The scope of its topic is the device. Of several judgements the one that begins last counts, and of two of one tick
    the one that ends first. One that ends when it begins lifts the suspension.
    """

    TYPE = "suspension"
    lie: ShortText
    """Which lie it is: what the device did."""
    evidence: Annotated[str, Field(max_length=MAX_EVIDENCE)]
    """The messages, with tick and figures, that contradict each other or the device's limits."""
    since_tick: TickNumber
    """The tick from which nobody deals with it."""
    until_tick: TickNumber
    """The first tick in which it may take part again."""
    epoch: TickNumber = 0
    """The run of the clock in which it was judged: a new run begins without suspensions."""

    @property
    def order(self) -> tuple[int, int]:
        """By what the latest of several judgements of a device counts: of two of one tick the one that ends first."""
        return self.since_tick, -self.until_tick

    @property
    def lifts(self) -> bool:
        """Whether it ends an earlier suspension instead of beginning one."""
        return self.until_tick <= self.since_tick
