"""Which devices lie, how, and since when: `charger-03=overbill`, `turbine-2=oversell,at:20`."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Final

from gridfleet.broker.protocol.messages import Role
from gridfleet.devices.plugins import PluginError
from gridfleet.devices.trust.liars.lie import LiarError
from gridfleet.devices.trust.liars.registry import LIES

EXAMPLE: Final = "charger-03=overbill"
MAX_TICK: Final = 10**9


@dataclass(frozen=True, slots=True)
class LyingDevice:
    """A device that lies."""

    device: str
    lie: str
    from_tick: int = 0
    """The first tick in which it lies."""
    partner: str = ""
    """The device that it lies with; empty for a lie of one device alone."""

    @property
    def text(self) -> str:
        """The lie as it is written on the command line."""
        at = f",at:{self.from_tick}" if self.from_tick else ""
        partner = f",with:{self.partner}" if self.partner else ""
        return f"{self.device}={self.lie}{at}{partner}"


def parse_liars(arguments: Iterable[str], origin: str = "--liars") -> tuple[LyingDevice, ...]:
    """Return the lies in `device=lie` arguments, each with `,at:TICK` and `,with:DEVICE` where wanted.

    `origin` names in errors where they are from. Raises LiarError for what cannot be read, and for an unknown lie.

    >>> parse_liars(["turbine-2=oversell,at:20"])
    (LyingDevice(device='turbine-2', lie='oversell', from_tick=20, partner=''),)
    """
    lying: dict[str, LyingDevice] = {}
    for argument in arguments:
        device, equals, text = argument.partition("=")
        if not equals or not device:
            raise LiarError(f"{origin} {argument}: expected device=lie, e.g. {EXAMPLE}")
        if device in lying:
            raise LiarError(f"{origin} {argument}: {device} has a lie already; a device has one")
        lying[device] = _parse(device, text, f"{origin} {argument}")
    return tuple(lying.values())


def liars_of(given: object, origin: str = "liars") -> tuple[LyingDevice, ...]:
    """Return the lies in a mapping from devices to lies, such as {"turbine-2": "oversell,at:20"}.

    Raises LiarError as `parse_liars` does.
    """
    if not isinstance(given, Mapping):
        raise LiarError(f"{origin}: {given!r}: expected a dict, such as {{'charger-03': 'overbill'}}")
    return parse_liars((f"{device}={lie}" for device, lie in given.items()), origin)


def check_liars(liars: Iterable[LyingDevice], roles: Mapping[str, Role]) -> None:
    """Raise LiarError for a device that is not among `roles`, and for a lie that is not for its role."""
    lying = {each.device: each for each in liars}
    for each in lying.values():
        where = f"liars {each.text}"
        if each.device not in roles:
            raise LiarError(f"{where}: the scenario has no device {each.device!r}{_hint(each.device, roles)}")
        lie = LIES.get(each.lie)
        role = roles[each.device]
        if role not in lie.roles:
            allowed = ", ".join(sorted(lie.roles))
            raise LiarError(
                f"{where}: {each.device} is a {role}; {lie.name} is a lie of these roles: {allowed}"
            )
        _check_partner(where, each, lying)


def check_ticks(liars: Iterable[LyingDevice], ticks: int) -> None:
    """Raise LiarError for a device that begins to lie after a run of `ticks` ticks."""
    for each in liars:
        if each.from_tick >= ticks:
            raise LiarError(
                f"liars {each.text}: the run has {ticks} ticks, the last is {ticks - 1}; "
                "choose an earlier tick, or more ticks"
            )


def _check_partner(where: str, each: LyingDevice, lying: Mapping[str, LyingDevice]) -> None:
    needed = LIES.get(each.lie).liar.needs_partner
    if not needed and each.partner:
        raise LiarError(f"{where}: {each.lie} is a lie of one device alone; leave out with:{each.partner}")
    if not needed:
        return
    other = lying.get(each.partner)
    if other is None or other.lie != each.lie or other.partner != each.device or other is each:
        partner = each.partner or "DEVICE"
        raise LiarError(
            f"{where}: {each.lie} needs two devices that name each other: "
            f"{each.device}={each.lie},with:{partner} {partner}={each.lie},with:{each.device}"
        )


def _parse(device: str, text: str, where: str) -> LyingDevice:
    name, *options = text.split(",")
    try:
        LIES.get(name)
    except PluginError as error:
        raise LiarError(f"{where}: {name!r}: {error}") from error
    lying = LyingDevice(device, name)
    for option in options:
        key, _, value = option.partition(":")
        if key == "at" and value.isascii() and value.isdecimal() and int(value) <= MAX_TICK:
            lying = replace(lying, from_tick=int(value))
        elif key == "with" and value:
            lying = replace(lying, partner=value)
        else:
            raise LiarError(f"{where}: {option!r}: expected at:TICK, such as at:20, or with:DEVICE")
    return lying


def _hint(device: str, known: Collection[str]) -> str:
    close = get_close_matches(device, known, 1)
    return f"; did you mean {close[0]!r}?" if close else "; `gridfleet scenario show` prints its tables"
