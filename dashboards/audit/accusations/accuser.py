"""Names who lies: messages of one sender that contradict each other, or the limits of its registration.

An accusation needs no second witness and no trust in anybody: all its evidence was published by the accused, apart from
its limits and the call that an offer answers. What a lost, late or repeated message can explain is no lie, so devices
that start or stop, and ticks of which messages may be missing, are not judged. See docs/trust.md.
"""

from collections.abc import Callable
from itertools import groupby
from operator import itemgetter
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
    Presence,
    Receipt,
    Registration,
    Release,
    Request,
    Residual,
    Role,
    State,
    Supply,
    Surplus,
    Suspension,
    find_limits,
)
from gridfleet.broker.protocol.topics import CLOCK_ID
from gridfleet.dashboards.audit.accusations.account_claims import account_error
from gridfleet.dashboards.audit.accusations.charging_claims import (
    CHARGE_EFFICIENCY_PERCENT,
    METER_BEFORE_ARRIVAL,
    ChargingClaims,
)
from gridfleet.dashboards.audit.accusations.market_claims import Claim, MarketClaims, total_wh
from gridfleet.dashboards.audit.findings import Tally

_MEMBERS: Final = frozenset({Role.PRODUCER, Role.CONSUMER, Role.STORAGE, Role.CHARGER})
"""The roles that bid or announce in a cell."""
MAX_BIRTHS: Final = 16
"""So often in a run a birth of a device that is online already may mean that it has lost messages."""
SETTLED_TICKS: Final = 2
"""After a device has come or gone, the rosters of producers may differ for so many ticks."""
MAX_DOUBTED: Final = 1
MEMBERS_PER_DOUBTED: Final = 10
"""Where messages may be missing and more devices of a market than these are doubted for one tick, the recorder has
missed messages: so many do not lie at once."""
_SELLERS: Final = frozenset({Role.PRODUCER, Role.STORAGE, Role.GRID_SUPPLY})


class Accusation(NamedTuple):
    """A provable lie: of whom, in which tick, and what shows it."""

    device: str
    tick: int
    lie: str
    evidence: str


class Accuser:
    """Follows every device's own words; call `take` for the accusations since the last call."""

    def __init__(self, tally: Tally, *, exact: bool) -> None:
        """`tally` counts what was checked; with `exact` no message is lost, so that a missing one is no accident."""
        self._tally = tally
        self._exact = exact
        self._register: dict[str, Registration] = {}
        self._limits: dict[str, Limits] = {}
        """Those looked up before, by device."""
        self._roles: dict[str, Role] = {}
        self._changed: dict[str, int] = {}
        """Device -> the tick in which it last came online or went offline."""
        self._market = MarketClaims()
        self._judged_before = -1
        """Sales of ticks before this one are judged; awards of them are repeated as long as buyers do not answer."""
        self._claims = ChargingClaims(exact=exact)
        self._begun: int | None = None
        """The first tick of which every message was received."""
        self._has_gap = False
        """Whether messages may be missing up to the end of the present tick."""
        self._tick = -1
        self._online: set[str] = set()
        self._births: dict[str, int] = {}
        """Device -> how often it was born again while it was online."""
        self._found: list[Accusation] = []
        self._accused = False
        """Whether anybody was accused in this run: then devices avoid some, and clear the market differently."""

    def take(self) -> list[Accusation]:
        """Return the accusations since the last call, the oldest first."""
        found, self._found = self._found, []
        return found

    def begin_run(self) -> None:
        """Forget the ticks of another run; who joins one may have missed the beginning of its first tick."""
        self._market.clear()
        self._claims.clear()
        self._begun = None
        self._judged_before = -1
        self._has_gap = not self._exact
        self._accused = False

    def note_gap(self) -> None:
        """Note that messages may be missing: what has begun is not judged, nor is the present tick."""
        self._market.clear()
        self._claims.clear()
        self._begun = None
        self._has_gap = True

    def on_presence(self, tick: int, device: str, presence: Presence) -> None:
        """Note that a device starts, stops or reconnects: what it said in this tick may be half of the truth.

        Who is born again and again without having been offline does not get out of every judgement by that.
        """
        self._roles[device] = presence.role
        if presence.online and device in self._online:
            births = self._births[device] = self._births.get(device, 0) + 1
            if births > MAX_BIRTHS:
                return
        (self._online.add if presence.online else self._online.discard)(device)
        self._changed[device] = tick
        self._claims.on_presence(device, presence)
        self._market.forget(device)

    def begin_tick(self, tick: int, begin_ms: int) -> None:
        """Note that a tick begins at a simulated time, ms; all of it is received."""
        self._tick = tick
        if self._begun is None:
            self._begun = tick + self._has_gap
            self._has_gap = False
        for claim in self._market.silent(tick):
            self._accuse(claim.device, tick, claim.lie, claim.evidence)
        for vehicle, evidence in self._claims.begin_tick(tick, begin_ms):
            self._accuse(vehicle, tick, "fee not paid", evidence)

    def judge(self, before: int, *, waited: bool) -> None:
        """Judge the market of the ticks before one; who starts, stops or reconnects may have lost messages.

        `waited` says that the clock has waited for every device.
        """
        self._market.begin_trade(self._tick)
        changes = (self._changed[device] for device, role in self._roles.items() if role in _MEMBERS)
        settled = max(changes, default=-1) < before - SETTLED_TICKS
        complete = self._exact and waited and settled and not self._accused
        unexplained = self._market.unexplained(before)
        for tick, claims in groupby(self._market.judge(before, complete=complete), key=itemgetter(0)):
            steady = [claim for _, claim in claims if self._changed.get(claim.device, -1) < tick - 1]
            self._judge_tick(tick, steady, unexplained[tick])
        self._judged_before = max(self._judged_before, before)

    def _judge_tick(self, tick: int, claims: list[Claim], unexplained: set[str]) -> None:
        """Accuse by the claims of a tick; where many devices are doubted at once, messages did not arrive here.

        So are those buyers whose receipts answer awards that did not: a broker drops awards that have expired while the
        recorder was away, and keeps receipts and accounts.
        """
        doubted = {claim.device for claim in claims if claim.doubtful}
        members = sum(role in _MEMBERS for role in self._roles.values())
        is_credible = max(len(doubted), len(unexplained)) <= max(MAX_DOUBTED, members // MEMBERS_PER_DOUBTED)
        for claim in claims:
            proven = self._exact or not claim.doubtful
            if proven or (is_credible and self._market.is_proven(tick, claim)):
                self._accuse(claim.device, tick, claim.lie, claim.evidence)

    def receive(self, tick: int, scope: str, sender: str, message: Message) -> None:
        """Hold a message against its sender's limits, and against what it said before; `tick` is the site's."""
        check = self._checks.get(type(message))
        if check is not None:
            check(self, tick, scope, sender, message)

    def _on_registration(self, _tick: int, subject: str, sender: str, registration: Registration) -> None:
        if sender == CLOCK_ID:
            self._register[subject] = registration
            self._limits.clear()

    def _on_suspension(self, _tick: int, _device: str, _judge: str, _suspension: Suspension) -> None:
        self._accused = True

    def _limits_of(self, device: str) -> Limits:
        """Return a device's limits by its own entry in the register, or by that of its group; else none."""
        limits = self._limits.get(device)
        if limits is None:
            limits = self._limits[device] = find_limits(self._register, device)
        return limits

    # --- the market --------------------------------------------------------------------------------------

    def _is_open(self, tick: int) -> bool:
        """Return whether a tick is received as a whole and not judged yet; messages may be early by one tick."""
        return self._begun is not None and max(self._begun, self._judged_before) <= tick <= self._tick + 1

    def _on_supply(self, tick: int, scope: str, sender: str, supply: Supply | Surplus) -> None:
        most_wh = self._limits_of(sender).sells_wh
        self._tally.checked += 1
        if supply.energy_wh > most_wh:
            what = f"announces {supply.energy_wh} Wh for tick {supply.tick}; its limit is {most_wh} Wh"
            self._accuse(sender, tick, "supply beyond limits", what)
        if isinstance(supply, Supply) and self._is_open(supply.tick):
            self._market.announce(supply.tick, scope, sender, supply.energy_wh)

    def _on_bid(self, tick: int, scope: str, sender: str, bid: Bid | Residual | Request) -> None:
        limits = self._limits_of(sender)
        energy_wh = total_wh(bid.packages)
        price = max((package.price_ueur_per_kwh for package in bid.packages), default=0)
        self._tally.checked += 1
        if isinstance(bid, Bid) and self._is_open(bid.tick):
            self._market.bid(bid.tick, scope, sender, energy_wh)
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
        role = self._roles.get(producer)
        if self._is_open(award.tick) and role in _SELLERS:
            self._market.award(buyer, producer, award, announces=role is not Role.GRID_SUPPLY)

    def _on_receipt(self, tick: int, producer: str, buyer: str, receipt: Receipt) -> None:
        if not self._is_open(receipt.tick):
            return
        self._tally.checked += 1
        claim = self._market.receipt(buyer, producer, receipt)
        if claim is not None and self._changed.get(buyer, -1) < receipt.tick - 1:
            self._accuse(buyer, tick, claim.lie, claim.evidence)

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
        if lie is not None and (self._exact or lie[0] != METER_BEFORE_ARRIVAL):
            self._accuse(charger, tick, *lie)

    def _on_vehicle(self, _tick: int, charger: str, vehicle: str, message: Heartbeat | Release) -> None:
        self._claims.on_vehicle(charger, vehicle, message)

    def _on_account(self, _tick: int, _scope: str, sender: str, state: State) -> None:
        self._market.account(sender, state)
        wrong = account_error(state, self._limits_of(sender))
        self._tally.checked += 1
        missing = self._claims.books.account_error(sender, state)
        if missing:
            self._accuse(
                sender, state.tick, "account is not the bills", f"account of tick {state.tick}: {missing}"
            )
        if wrong:
            self._accuse(sender, state.tick, "false account", f"account of tick {state.tick}: {wrong}")

    def _accuse(self, device: str, tick: int, lie: str, evidence: str) -> None:
        self._tally.fail(f"tick {tick}: {device}: {lie}: {evidence}")
        self._accused = True
        self._found.append(Accusation(device, tick, lie, evidence))

    _checks: ClassVar[dict[type[Message], Callable[[Any, int, str, str, Any], None]]] = {
        Registration: _on_registration,
        Suspension: _on_suspension,
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
        Heartbeat: _on_vehicle,
        Release: _on_vehicle,
        **dict.fromkeys(ACCOUNTS, _on_account),
    }
