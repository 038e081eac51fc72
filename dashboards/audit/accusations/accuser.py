"""Names who lies: messages of one sender that contradict each other, or the limits of its enrolment.

An accusation needs no second witness and no trust in anybody: all its evidence was published by the accused, apart from
its limits and the call that an offer answers. What a lost, late or repeated message can explain is no lie, so devices
that start or stop, and ticks of which messages may be missing, are not judged. See docs/trust.md.
"""

from collections.abc import Callable
from typing import Any, ClassVar, Final, NamedTuple

from gridfleet.broker.protocol.messages import (
    ACCOUNTS,
    Award,
    Bid,
    Bill,
    Call,
    Heartbeat,
    Lease,
    Limits,
    Message,
    Offer,
    Package,
    Presence,
    Receipt,
    Registration,
    Request,
    Residual,
    Role,
    State,
    Supply,
    Surplus,
)
from gridfleet.broker.protocol.topics import CLOCK_ID
from gridfleet.dashboards.audit.accusations.account_claims import account_error
from gridfleet.dashboards.audit.accusations.charging_claims import CHARGE_EFFICIENCY_PERCENT, ChargingClaims
from gridfleet.dashboards.audit.findings import Tally

NO_LIMITS: Final = Limits()
_PRODUCERS: Final = frozenset({Role.PRODUCER, Role.STORAGE})
UNANNOUNCED_TICKS: Final = 4
"""Awards without an announcement are a lie in the fourth tick in a row: single messages may be lost unnoticed."""


class Accusation(NamedTuple):
    """A provable lie: of whom, in which tick, and what shows it."""

    device: str
    tick: int
    lie: str
    evidence: str


class _Sales:
    """What a producer has announced and awarded in one tick."""

    __slots__ = ("announced_wh", "awarded_wh", "taken_wh")

    def __init__(self) -> None:
        self.announced_wh: int | None = None
        """None where no announcement was received."""
        self.awarded_wh: dict[tuple[str, int], int] = {}
        """(buyer, serial) -> Wh."""
        self.taken_wh: dict[tuple[str, int], int] = {}
        """(buyer, serial) -> what the buyer's receipt takes of it, Wh."""

    def used_wh(self) -> int:
        """Return the energy of all awards, less what buyers have refused, Wh."""
        return sum(
            min(energy_wh, self.taken_wh.get(key, energy_wh)) for key, energy_wh in self.awarded_wh.items()
        )


def _energy(packages: tuple[Package, ...]) -> int:
    return sum(package.energy_wh for package in packages)


class Accuser:
    """Follows every device's own words; call `take` for the accusations since the last call."""

    def __init__(self, tally: Tally) -> None:
        """`tally` counts what was checked."""
        self._tally = tally
        self._register: dict[str, Registration] = {}
        self._limits: dict[str, Limits] = {}
        """Those looked up before, by device."""
        self._roles: dict[str, Role] = {}
        self._changed: dict[str, int] = {}
        """Device -> the tick in which it last came online or went offline."""
        self._sales: dict[int, dict[str, _Sales]] = {}
        """Tick -> producer -> its sales."""
        self._unannounced: dict[str, int] = {}
        """Producer -> in how many ticks in a row it has awarded without an announcement."""
        self._judged_before = -1
        """Sales of ticks before this one are judged; awards of them are repeated as long as buyers do not answer."""
        self._claims = ChargingClaims()
        self._begun: int | None = None
        """The first tick of which every message was received."""
        self._found: list[Accusation] = []

    def take(self) -> list[Accusation]:
        """Return the accusations since the last call, the oldest first."""
        found, self._found = self._found, []
        return found

    def note_gap(self) -> None:
        """Note that messages may be missing: what has begun is not judged."""
        self._sales.clear()
        self._unannounced.clear()
        self._claims.clear()
        self._begun = None
        self._judged_before = -1

    def on_presence(self, tick: int, device: str, presence: Presence) -> None:
        """Note that a device starts, stops or reconnects: what it said in this tick may be half of the truth."""
        self._roles[device] = presence.role
        self._changed[device] = tick
        self._claims.on_presence(device, presence)

    def begin_tick(self, tick: int, *, judge_before: int) -> None:
        """Note that a tick begins, of which all is received; judge the sales of ticks before `judge_before`."""
        if self._begun is None:
            self._begun = tick
        for done in sorted(number for number in self._sales if number < judge_before):
            self._judge_sales(done, self._sales.pop(done))
        self._judged_before = max(self._judged_before, judge_before)
        self._claims.prune(tick)

    def receive(self, tick: int, scope: str, sender: str, message: Message) -> None:
        """Hold a message against its sender's limits, and against what it said before; `tick` is the site's."""
        check = self._checks.get(type(message))
        if check is not None:
            check(self, tick, scope, sender, message)

    def _on_registration(self, _tick: int, subject: str, sender: str, registration: Registration) -> None:
        if sender == CLOCK_ID:
            self._register[subject] = registration
            self._limits.clear()

    def _limits_of(self, device: str) -> Limits:
        """Return a device's limits by its own entry in the register, or by that of its group; else none."""
        limits = self._limits.get(device)
        if limits is None:
            own = self._register.get(device)
            prefix, _, number = device.rpartition("-")
            group = self._register.get(prefix)
            if own is not None and own.devices == 0:
                limits = own.limits
            elif group is not None and number.isdecimal() and 0 < int(number) <= group.devices:
                limits = group.limits
            else:
                limits = NO_LIMITS
            self._limits[device] = limits
        return limits

    # --- the market --------------------------------------------------------------------------------------

    def _open_sales(self, tick: int, producer: str) -> _Sales | None:
        """Return a producer's sales of a tick that is not judged yet, or None."""
        if self._begun is None or tick < max(self._begun, self._judged_before):
            return None
        if self._roles.get(producer) not in _PRODUCERS:
            return None
        return self._sales.setdefault(tick, {}).setdefault(producer, _Sales())

    def _on_supply(self, tick: int, _scope: str, sender: str, supply: Supply | Surplus) -> None:
        most_wh = self._limits_of(sender).sells_wh
        self._tally.checked += 1
        if supply.energy_wh > most_wh:
            what = f"announces {supply.energy_wh} Wh for tick {supply.tick}; its limit is {most_wh} Wh"
            self._accuse(sender, tick, "supply beyond limits", what)
        if isinstance(supply, Supply):
            sales = self._open_sales(supply.tick, sender)
            if sales is not None:
                sales.announced_wh = max(sales.announced_wh or 0, supply.energy_wh)

    def _on_bid(self, tick: int, _scope: str, sender: str, bid: Bid | Residual | Request) -> None:
        limits = self._limits_of(sender)
        energy_wh = _energy(bid.packages)
        price = max((package.price_ueur_per_kwh for package in bid.packages), default=0)
        self._tally.checked += 1
        if energy_wh > limits.buys_wh:
            what = f"{bid.TYPE} of tick {bid.tick} for {energy_wh} Wh; its limit is {limits.buys_wh} Wh"
        elif price > limits.price_ueur_per_kwh:
            what = (
                f"{bid.TYPE} of tick {bid.tick} at {price} µEUR/kWh; its limit is {limits.price_ueur_per_kwh}"
            )
        else:
            return
        self._accuse(sender, tick, f"{bid.TYPE} beyond limits", what)

    def _on_award(self, _tick: int, buyer: str, producer: str, award: Award) -> None:
        sales = self._open_sales(award.tick, producer)
        if sales is not None:
            sales.awarded_wh.setdefault((buyer, award.serial), _energy(award.lots))

    def _on_receipt(self, _tick: int, producer: str, buyer: str, receipt: Receipt) -> None:
        sales = self._sales.get(receipt.tick, {}).get(producer)
        if sales is not None:
            sales.taken_wh.setdefault((buyer, receipt.serial), _energy(receipt.lots))

    def _judge_sales(self, tick: int, producers: dict[str, _Sales]) -> None:
        """Accuse who has awarded more than it announced, less what buyers refused and it could award again."""
        for producer, sales in sorted(producers.items()):
            if self._changed.get(producer, -1) >= tick - 1:
                self._unannounced.pop(producer, None)
                continue
            self._tally.checked += 1
            if sales.announced_wh is None:
                missing = self._unannounced[producer] = self._unannounced.get(producer, 0) + 1
                if missing < UNANNOUNCED_TICKS:
                    continue
                announced = f"nothing was announced, nor in the {missing - 1} ticks of awards before"
            else:
                self._unannounced.pop(producer, None)
                announced = f"announced were {sales.announced_wh} Wh"
            used_wh = sales.used_wh()
            if used_wh > (sales.announced_wh or 0):
                what = f"{len(sales.awarded_wh)} awards of tick {tick} for {used_wh} Wh in all; {announced}"
                self._accuse(producer, tick, "award beyond supply", what)

    # --- reservations and accounts -----------------------------------------------------------------------

    def _on_call(self, tick: int, _scope: str, sender: str, call: Call) -> None:
        capacity_wh = self._limits_of(sender).capacity_wh
        self._tally.checked += 1
        if call.energy_wh * CHARGE_EFFICIENCY_PERCENT > (capacity_wh + 1) * 100:
            what = f"call {call.call} asks for {call.energy_wh} Wh; its battery holds {capacity_wh} Wh"
            self._accuse(sender, tick, "call beyond battery", what)
        self._claims.on_call(tick, sender, call)

    def _on_charger(self, tick: int, vehicle: str, charger: str, message: Offer | Lease | Bill) -> None:
        self._tally.checked += 1
        lie = self._claims.check(charger, vehicle, message)
        if lie is not None:
            self._accuse(charger, tick, *lie)

    def _on_heartbeat(self, _tick: int, charger: str, vehicle: str, beat: Heartbeat) -> None:
        self._claims.on_heartbeat(charger, vehicle, beat)

    def _on_account(self, _tick: int, _scope: str, sender: str, state: State) -> None:
        wrong = account_error(state, self._limits_of(sender))
        self._tally.checked += 1
        if wrong:
            self._accuse(sender, state.tick, "false account", f"account of tick {state.tick}: {wrong}")

    def _accuse(self, device: str, tick: int, lie: str, evidence: str) -> None:
        self._tally.fail(f"tick {tick}: {device}: {lie}: {evidence}")
        self._found.append(Accusation(device, tick, lie, evidence))

    _checks: ClassVar[dict[type[Message], Callable[[Any, int, str, str, Any], None]]] = {
        Registration: _on_registration,
        Supply: _on_supply,
        Surplus: _on_supply,
        Bid: _on_bid,
        Residual: _on_bid,
        Request: _on_bid,
        Award: _on_award,
        Receipt: _on_receipt,
        Call: _on_call,
        Offer: _on_charger,
        Lease: _on_charger,
        Bill: _on_charger,
        Heartbeat: _on_heartbeat,
        **dict.fromkeys(ACCOUNTS, _on_account),
    }
