"""The auditor hears what is said on a site, trusts nobody, and counts what should not be."""

from collections.abc import Iterable
from typing import Final

from gridfleet.broker.protocol.messages import (
    PHASE_RANK,
    Accept,
    Award,
    Bid,
    Bill,
    Call,
    ChargerState,
    ClockState,
    ConsumerState,
    Correction,
    Decline,
    Heartbeat,
    Lease,
    Message,
    Offer,
    Phase,
    Presence,
    ProducerState,
    Receipt,
    Release,
    State,
    Supply,
    Tick,
    VehicleState,
)
from gridfleet.broker.protocol.topics import CLOCK_ID
from gridfleet.broker.protocol.units import TICK_MS
from gridfleet.dashboards.audit.accounts import Accounts
from gridfleet.dashboards.audit.charging import Charging
from gridfleet.dashboards.audit.findings import Finding, Tallies
from gridfleet.dashboards.audit.market import REMINDED_TICKS, Market
from gridfleet.dashboards.audit.window import Attendance, Gaps, LifecycleLog, Window

_REMEMBERED_TICKS: Final = REMINDED_TICKS + 32
_AHEAD: Final = 1
_MARKET: Final = frozenset((Supply, Bid, Award, Receipt))
_STATES: Final = frozenset((ProducerState, ConsumerState, ChargerState, VehicleState))
_CHARGING: Final = frozenset((Call, Offer, Accept, Lease, Heartbeat, Release, Bill, Decline))


class Auditor:
    """Call `tap` with every message and `finish` at the end.

    `exact` says that every message arrives at once and none is lost (a simulation without faults, lock-step):
    then all that is said must agree within its tick. Otherwise what depends on messages that may be lost or late
    is compared when it is settled. `clock_skew_ms` is how far any device's clock may be off.
    """

    def __init__(self, *, exact: bool = True, clock_skew_ms: int = 0) -> None:
        self._tallies = Tallies(exact=exact)
        self._births = LifecycleLog()
        self._exact = exact
        self._attendance = Attendance()
        self._gaps = Gaps()
        self._gap_since: int | None = None
        """The last tick heard before the connection was lost, until one is heard again."""
        self._offsets_ms: dict[Phase, int] = {}
        accounts = self._accounts = Accounts(self._tallies, self._births, self._gaps, exact=exact)
        self._market = Market(self._tallies, self._births, self._attendance, self._gaps, exact=exact)
        self._charging = Charging(
            self._tallies, self._births, self._gaps, accounts, exact=exact, slack_ms=2 * clock_skew_ms
        )
        self._windows: dict[int, Window] = {}
        self._tick: Tick | None = None
        self._site_tick = -1
        self._begin: int | None = None
        """The first tick heard from its beginning."""

    def tap(self, simulated_ms: int, scope: str, sender: str, message: Message) -> None:
        """Hear a message."""
        kind = type(message)
        if kind in _MARKET:
            window = self._window(message.tick)  # type: ignore[attr-defined]
            if window is not None:
                window.market.append((scope, sender, message))
            else:
                self._stray(scope, sender, message)
        elif kind in _STATES:
            self._state(simulated_ms, sender, message)  # type: ignore[arg-type]
        elif kind in _CHARGING:
            if self._site_tick >= 0:
                self._charging.hear(simulated_ms, self._site_tick, scope, sender, message)
        elif isinstance(message, Tick):
            self._on_tick(simulated_ms, sender, message)
        elif isinstance(message, Presence):
            if self._births.note(sender, self._site_tick, online=message.online):
                self._charging.born(simulated_ms, sender)
        elif isinstance(message, Correction):
            self._on_correction(sender, message)

    def note_gap(self) -> None:
        """The connection was lost and is back: what was said in between may be missing, and is not judged.

        Accounts must add up all the same from then on.
        """
        if self._begin is not None and self._gap_since is None:
            self._gap_since = self._site_tick

    def restore(self, findings: Iterable[Finding]) -> None:
        """Go on counting from what an earlier auditor of the same run had found."""
        self._tallies.restore(findings)

    def finish(self) -> list[Finding]:
        """Judge what is left, except a tick that was broken off; return the findings."""
        for tick in sorted(self._windows):
            if tick <= self._site_tick:
                self._decide(tick)
        self._windows.clear()
        return self._tallies.findings()

    @property
    def findings(self) -> list[Finding]:
        """What was found so far; a tick is judged when the one after the next begins."""
        return self._tallies.findings()

    # --- time --------------------------------------------------------------------------------------------

    def _on_tick(self, simulated_ms: int, sender: str, tick: Tick) -> None:
        """Check that phases follow each other without a gap, each at the time announced by the one before."""
        if sender != CLOCK_ID:
            return
        last, self._tick = self._tick, tick
        if last is None or tick.epoch != last.epoch:
            self._begin_anew(tick)
        elif self._gap_since is None and (tick.tick, tick.phase) != (last.tick, last.phase):
            self._follow(simulated_ms, last, tick)
        if self._gap_since is not None and tick.tick >= self._gap_since:
            self._gaps.add(self._gap_since - 1, tick.tick)
            self._charging.note_gap(tick.tick)
            self._gap_since = None
        self._site_tick = max(self._site_tick, tick.tick)
        window = self._window(tick.tick)
        if window is not None and tick.phase is Phase.SETTLE:
            window.settle_ms = tick.simulated_ms
            window.end_ms = tick.ends_ms
        if tick.phase is Phase.BID:
            for done in sorted(number for number in self._windows if number <= tick.tick - 2):
                self._decide(done)

    def _follow(self, simulated_ms: int, last: Tick, tick: Tick) -> None:
        """Check that a phase comes when it should; unless all is exact, some may be left out before it."""
        tally = self._tallies.ticks
        tally.checked += 1
        what = f"tick {tick.tick}, {tick.phase}"
        later = tick.tick > last.tick or (
            tick.tick == last.tick and PHASE_RANK[tick.phase] > PHASE_RANK[last.phase]
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
            tally.fail(f"{what}: was said {simulated_ms - tick.simulated_ms} ms late")

    def _begin_anew(self, tick: Tick) -> None:
        """A run begins, or we join one: a tick of which we may have missed the beginning is not judged."""
        self._windows.clear()
        self._offsets_ms.clear()
        self._site_tick = tick.tick
        self._begin = tick.tick if tick.tick == 0 and tick.phase is Phase.BID else tick.tick + 1

    def _window(self, tick: int) -> Window | None:
        """Return the window of a tick that is still open, or None."""
        window = self._windows.get(tick)
        if window is not None:
            return window
        site = self._site_tick
        if self._begin is None or tick < self._begin or not site - _AHEAD <= tick <= site + _AHEAD:
            return None
        window = self._windows[tick] = Window()
        return window

    def _decide(self, tick: int) -> None:
        window = self._windows.pop(tick)
        if window.settle_ms is None and self._site_tick <= tick:
            return
        self._tallies.fresh.checked += len(window.market)
        self._accounts.decide(tick, window)
        self._market.decide(tick, window)
        if window.end_ms is not None:
            self._charging.decide(tick, window.end_ms, window)
        self._births.forget(tick - _REMEMBERED_TICKS)
        self._gaps.forget(tick - _REMEMBERED_TICKS)

    # --- what is said ------------------------------------------------------------------------------------

    def _state(self, simulated_ms: int, sender: str, state: State) -> None:
        window = self._window(state.tick)
        if window is None:
            if self._begin is not None and self._begin <= state.tick < self._site_tick:
                self._attendance.note(sender, state.tick)
                self._accounts.late(sender, state, self._site_tick)
                if isinstance(state, ProducerState):
                    self._market.correct(sender, state, self._site_tick)
            return
        if window.states.setdefault(sender, state) is not state:
            return
        if state.tick != self._site_tick:
            window.late_states[sender] = self._site_tick
        self._attendance.note(sender, state.tick)
        if isinstance(state, ChargerState):
            self._charging.account(simulated_ms, sender, state)

    def _on_correction(self, sender: str, correction: Correction) -> None:
        window = self._windows.get(correction.tick)
        if window is not None:
            window.correct(sender, correction)
        else:
            self._market.correct(sender, correction, self._site_tick)
        self._accounts.corrected(sender, correction, self._site_tick)

    def _stray(self, scope: str, sender: str, message: Message) -> None:
        """A market message for a tick that is not open."""
        tick: int = message.tick  # type: ignore[attr-defined]
        if self._begin is None or tick < self._begin or isinstance(message, ClockState):
            return
        if tick > self._site_tick:
            if self._gap_since is None:  # else that tick has begun unheard
                self._tallies.fresh.checked += 1
                self._tallies.fresh.fail(
                    f"tick {self._site_tick}: {sender} says a {message.TYPE} for tick {tick}"
                )
        else:
            self._market.late(self._site_tick, scope, sender, message)
