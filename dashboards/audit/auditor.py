"""The auditor: receives every message of a site, trusts no device, and counts breaches of the invariants."""

from collections.abc import Iterable
from typing import Final

from gridfleet.broker.protocol.messages import (
    ACCOUNTS,
    PHASE_INDEX,
    Accept,
    Award,
    Bid,
    Bill,
    Call,
    ChargerState,
    ClockState,
    Correction,
    Decline,
    Facts,
    Heartbeat,
    Lease,
    Message,
    Offer,
    Phase,
    Presence,
    ProducerState,
    Receipt,
    Release,
    Residual,
    State,
    StorageState,
    Supply,
    Surplus,
    Tick,
)
from gridfleet.broker.protocol.topics import CLOCK_ID
from gridfleet.broker.protocol.units import TICK_MS
from gridfleet.dashboards.audit.accounts import AccountAudit
from gridfleet.dashboards.audit.accusations.accuser import Accusation, Accuser
from gridfleet.dashboards.audit.charging import ChargingAudit
from gridfleet.dashboards.audit.findings import Finding, Tallies
from gridfleet.dashboards.audit.lost_messages import Early, EarlyMessages
from gridfleet.dashboards.audit.market import REMINDED_TICKS, MarketAudit
from gridfleet.dashboards.audit.specifications import SpecificationOf
from gridfleet.dashboards.audit.window import GapLog, LifecycleLog, ReportingHistory, TickWindow

_KEPT_TICKS: Final = REMINDED_TICKS + 32
_AHEAD: Final = 1
_MARKET: Final = frozenset((Supply, Bid, Award, Receipt))
_EXCHANGE: Final = frozenset((Residual, Surplus))
_OF_A_TICK: Final = _MARKET | _EXCHANGE | frozenset(ACCOUNTS) - {ClockState}
_NEVER: Final = 2**31
"""Later than every tick."""
_CHARGING: Final = frozenset((Call, Offer, Accept, Lease, Heartbeat, Release, Bill, Decline))


class Auditor:
    """Call `receive` with every message and `finish` at the end.

    `exact` states that every message arrives at once and none is lost (a simulation without faults, lock-step):
    then all messages must agree within their tick. Otherwise what depends on messages that may be lost or late
    is compared when it is settled. `clock_skew_ms` is how far any device's clock may be off. `specification_of` finds
    the specifications of clearing rules that are not shipped.
    """

    def __init__(
        self,
        *,
        exact: bool = True,
        clock_skew_ms: int = 0,
        specification_of: SpecificationOf | None = None,
    ) -> None:
        self._tallies = Tallies(exact=exact)
        self._accuser = Accuser(self._tallies.honesty, exact=exact)
        self._lifecycle = LifecycleLog()
        self._exact = exact
        self._slack_ms = 2 * clock_skew_ms
        self._specification_of = specification_of
        self._gap_since: int | None = None
        """The last tick received before a gap, until one is received again."""
        self._offsets_ms: dict[Phase, int] = {}
        self._missing = (0, 0)
        """The phases that were missing last: after the one, and before the other that began at these times."""
        self._early = EarlyMessages()
        self._fleet_is_up = False
        """Whether an account was received before the run began: devices go on with what they had leased and drawn."""
        self._supply_price: int | None = None
        self._follow_run()
        self._windows: dict[int, TickWindow] = {}
        self._tick: Tick | None = None
        self._site_tick = -1
        self._begin: int | None = None
        """The first tick received from its beginning."""

    def _follow_run(self) -> None:
        """Begin to follow the accounts, the market and the reservations of a run."""
        tallies, lifecycle, exact = self._tallies, self._lifecycle, self._exact
        gaps = self._gaps = GapLog()
        reporting = self._reporting = ReportingHistory()
        accounts = self._accounts = AccountAudit(tallies, lifecycle, gaps, exact=exact)
        self._market = MarketAudit(
            tallies, lifecycle, reporting, gaps, exact=exact, specification_of=self._specification_of
        )
        self._charging = ChargingAudit(
            tallies, lifecycle, gaps, accounts, exact=exact, slack_ms=self._slack_ms
        )

    def receive(self, simulated_ms: int, scope: str, sender: str, message: Message) -> None:
        """Audit a message: simulated time in ms, scope and sender of its topic."""
        message_class = type(message)
        may_wait = message_class in _OF_A_TICK and (not self._exact or self._gap_since is not None)
        if may_wait and self._is_early(simulated_ms, scope, sender, message):
            return
        self._accuser.receive(self._site_tick, scope, sender, message)
        if message_class in _MARKET:
            window = self._window(message.tick)  # type: ignore[attr-defined]
            if window is not None:
                window.market.append((scope, sender, message))
            else:
                self._on_late_message(scope, sender, message)
        elif message_class in ACCOUNTS:
            self._on_account(simulated_ms, sender, message)  # type: ignore[arg-type]
        elif message_class in _CHARGING:
            if self._site_tick >= 0:
                self._charging.receive(simulated_ms, self._site_tick, scope, sender, message)
        elif message_class in _EXCHANGE:
            window = self._window(message.tick)  # type: ignore[attr-defined]
            if window is not None:
                window.exchange.append((scope, sender, message))  # type: ignore[arg-type]
        else:
            self._on_site_message(simulated_ms, sender, message)

    def _on_site_message(self, simulated_ms: int, sender: str, message: Message) -> None:
        """Audit what belongs to no market and no reservation: of the clock, of presence, and corrections."""
        if isinstance(message, Tick):
            self._on_tick(simulated_ms, sender, message)
        elif isinstance(message, Facts):
            if sender == CLOCK_ID:
                self._supply_price = message.reactor_price_ueur_per_kwh
        elif isinstance(message, Presence):
            self._accuser.on_presence(self._site_tick, sender, message)
            if self._lifecycle.note(sender, self._site_tick, online=message.online):
                self._charging.on_restart(simulated_ms, sender)
            elif sender == CLOCK_ID and message.online and not self._exact:
                self.note_gap()  # it has connected again: a broker that restarted may have lost messages
        elif isinstance(message, Correction):
            self._on_correction(sender, message)

    def note_gap(self) -> None:
        """Note that messages may be missing, as after a lost connection: those ticks are not judged.

        From then on accounts must add up again.
        """
        self._accuser.note_gap()
        if self._begin is not None and self._gap_since is None:
            self._gap_since = self._site_tick
            self._gaps.add(self._site_tick - 1, self._site_tick)

    def note_former_run(self) -> None:
        """Note, before the first tick, that devices go on with what they had leased and drawn in a former run."""
        self._fleet_is_up = True

    def accusations(self) -> list[Accusation]:
        """Return the provable lies found since the last call."""
        return self._accuser.take()

    def restore(self, findings: Iterable[Finding]) -> None:
        """Continue counting from the findings of an earlier auditor of the same run."""
        self._tallies.restore(findings)

    def finish(self) -> list[Finding]:
        """Judge the rest, except a tick that did not end; return the findings."""
        for early in self._early.take(_NEVER):
            self._tallies.fresh.checked += 1
            self._tallies.fresh.fail(
                f"tick {early.received_tick}: {early.sender} publishes a {early.message.TYPE} for tick {early.tick}"
            )
        for tick in sorted(self._windows):
            if tick <= self._site_tick:
                self._judge(tick)
        self._windows.clear()
        return self._tallies.findings()

    @property
    def findings(self) -> list[Finding]:
        """The findings so far; a tick is judged when the one after the next begins."""
        return self._tallies.findings()

    # --- time --------------------------------------------------------------------------------------------

    def _on_tick(self, simulated_ms: int, sender: str, tick: Tick) -> None:
        """Check that phases follow each other without a gap, each at the time announced by the one before."""
        if sender != CLOCK_ID or self._is_overtaken(tick):
            return
        last, self._tick = self._tick, tick
        if last is None or tick.epoch != last.epoch:
            self._begin_run(tick)
        elif self._gap_since is None and (tick.tick, tick.phase) != (last.tick, last.phase):
            self._check_order(simulated_ms, last, tick)
        if self._gap_since is not None and tick.tick >= self._gap_since:
            self._gaps.add(self._gap_since - 1, tick.tick)
            self._charging.on_gap(tick.tick)
            self._gap_since = None
        self._site_tick = max(self._site_tick, tick.tick)
        for early in self._early.take(self._site_tick + _AHEAD):
            self.receive(early.simulated_ms, early.scope, early.sender, early.message)
        window = self._window(tick.tick)
        if window is not None:
            window.waited_for_all = window.waited_for_all and not tick.absent
            if tick.phase is Phase.BID:
                window.rule = window.rule or tick.settings.clearing_rule
                window.supply_price = self._supply_price
            elif tick.phase is Phase.SETTLE:
                window.settle_ms = tick.simulated_ms
                window.end_ms = tick.ends_ms
                self._charging.on_settle(tick.tick, tick.simulated_ms)
        self._judge_market(tick)

    def _judge_market(self, tick: Tick) -> None:
        """Judge what of the market is complete when a phase begins."""
        if tick.phase is Phase.BID:
            self._accuser.begin_tick(tick.tick, tick.simulated_ms)
            for done in sorted(number for number in self._windows if number <= tick.tick - 2):
                self._judge(done)
        elif tick.phase is Phase.TRADE:  # by then what was delayed within an instant has arrived
            before = self._windows.get(tick.tick - 1)
            waited = before is not None and before.waited_for_all
            self._accuser.judge(tick.tick if self._exact else tick.tick - 1, waited=waited)

    def _check_order(self, simulated_ms: int, last: Tick, tick: Tick) -> None:
        """Check that a phase begins in order and at its time.

        Unless `exact`, phases may be missing before it, and with them what was published meanwhile.
        """
        tally = self._tallies.ticks
        tally.checked += 1
        what = f"tick {tick.tick}, {tick.phase}"
        later = tick.tick > last.tick or (
            tick.tick == last.tick and PHASE_INDEX[tick.phase] > PHASE_INDEX[last.phase]
        )
        next_tick = tick.tick == last.tick + 1 and tick.phase is Phase.BID and last.phase is Phase.SETTLE
        offset_ms = tick.simulated_ms - tick.tick * TICK_MS
        if not later or (self._exact and tick.tick != last.tick and not next_tick):
            tally.fail(f"{what}: does not follow tick {last.tick}, {last.phase}")
        elif (self._exact or next_tick) and tick.simulated_ms != last.ends_ms:
            tally.fail(f"{what}: begins at {tick.simulated_ms}, announced was {last.ends_ms}")
        elif self._offsets_ms.setdefault(tick.phase, offset_ms) != offset_ms:
            tally.fail(f"{what}: begins at {tick.simulated_ms}, not at its time within a tick")
        elif self._exact and simulated_ms > tick.simulated_ms:
            tally.fail(f"{what}: was published {simulated_ms - tick.simulated_ms} ms late")
        if not self._exact and tick.simulated_ms > last.ends_ms:
            self._missing = (last.simulated_ms, tick.simulated_ms)
            self.note_gap()

    def _is_overtaken(self, tick: Tick) -> bool:
        """Return whether a phase was missing before and comes now: a broker sent later messages before its queue."""
        begin_ms, end_ms = self._missing
        return (
            self._tick is not None
            and tick.epoch == self._tick.epoch
            and begin_ms < tick.simulated_ms < end_ms
        )

    def _begin_run(self, tick: Tick) -> None:
        """Begin a run, or join one: a tick that may have begun before is not judged.

        Devices that were up before go on with reservations of which the beginning was not received.
        """
        self._accuser.begin_run()
        self._fleet_is_up = self._fleet_is_up or self._begin is not None
        if self._begin is not None:
            self._lifecycle.begin_run()
            self._follow_run()
        self._windows.clear()
        self._offsets_ms.clear()
        self._early.clear()
        self._missing = (0, 0)
        self._gap_since = None
        self._site_tick = tick.tick
        joins = tick.tick > 0 or tick.phase is not Phase.BID
        self._begin = tick.tick + joins
        if (joins or self._fleet_is_up) and not self._exact:
            self._charging.on_gap(tick.tick)

    def _window(self, tick: int) -> TickWindow | None:
        """Return the window of a tick that is still open, or None."""
        window = self._windows.get(tick)
        if window is not None:
            return window
        site = self._site_tick
        if self._begin is None or tick < self._begin or not site - _AHEAD <= tick <= site + _AHEAD:
            return None
        window = self._windows[tick] = TickWindow()
        return window

    def _is_early(self, simulated_ms: int, scope: str, sender: str, message: Message) -> bool:
        """Keep a message for a tick that has not begun until it begins; return whether it is one."""
        tick: int = message.tick  # type: ignore[attr-defined] # those of a tick have one
        if self._begin is None or tick <= self._site_tick + _AHEAD:
            return False
        if not (self._fleet_is_up and self._reporting.last(sender) < 0):  # else it is of the run before
            self._early.hold(Early(simulated_ms, scope, sender, message, tick, self._site_tick))
        return True

    def _judge(self, tick: int) -> None:
        window = self._windows.pop(tick)
        if window.settle_ms is None and self._site_tick <= tick:
            return
        self._tallies.fresh.checked += len(window.market)
        self._accounts.check_tick(tick, window)
        self._market.check_tick(tick, window)
        if window.end_ms is not None:
            self._charging.check_tick(tick, window.end_ms, window)
        self._lifecycle.prune(tick - _KEPT_TICKS)
        self._gaps.prune(tick - _KEPT_TICKS)

    # --- other messages ----------------------------------------------------------------------------------

    def _on_account(self, simulated_ms: int, sender: str, state: State) -> None:
        self._fleet_is_up = self._fleet_is_up or self._begin is None
        window = self._window(state.tick)
        if window is None:
            if self._begin is not None and self._begin <= state.tick < self._site_tick:
                self._reporting.note(sender, state.tick)
                self._accounts.on_late_account(sender, state, self._site_tick)
                if isinstance(state, ProducerState | StorageState):
                    self._market.on_correction(sender, state, self._site_tick)
            return
        if window.states.setdefault(sender, state) is not state:
            return
        if state.tick != self._site_tick:
            window.late_states[sender] = self._site_tick
        self._reporting.note(sender, state.tick)
        if isinstance(state, ChargerState):
            self._charging.on_account(simulated_ms, sender, state)

    def _on_correction(self, sender: str, correction: Correction) -> None:
        window = self._windows.get(correction.tick)
        if window is not None:
            window.correct(sender, correction)
        else:
            self._market.on_correction(sender, correction, self._site_tick)
        self._accounts.on_correction(sender, correction, self._site_tick)

    def _on_late_message(self, scope: str, sender: str, message: Message) -> None:
        """Check a market message for a tick without a window: too early, or too late."""
        tick: int = message.tick  # type: ignore[attr-defined]
        if self._begin is None or tick < self._begin or isinstance(message, ClockState):
            return
        if tick > self._site_tick:
            self._tallies.fresh.checked += 1
            self._tallies.fresh.fail(
                f"tick {self._site_tick}: {sender} publishes a {message.TYPE} for tick {tick}"
            )
        else:
            self._market.on_late_message(self._site_tick, scope, sender, message)
