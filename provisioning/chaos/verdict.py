"""Checks how a site has recovered from one fault: eight checks, each with an explanation."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from gridfleet.broker.protocol.messages import Tick
from gridfleet.broker.protocol.units import NEUR_PER_EUR
from gridfleet.dashboards.audit.findings import Finding
from gridfleet.provisioning.chaos.ledger import (
    late_awards,
    oversold_packages,
    tick_ledger,
    total_balance_neur,
)
from gridfleet.provisioning.chaos.observations import Observations

AFTER_TICKS: Final = 2
"""Whole ticks that are checked after the recovery."""
MAX_EXAMPLES: Final = 3
"""Most examples in one text; the others are counted."""
_PORT_INVARIANTS: Final = ("ports", "reserved", "leases", "reservations")
_PACKAGE_INVARIANTS: Final = ("packages", "supply", "prices")
_STALE_INVARIANTS: Final = ("fresh",)


class RecoveryCheck(NamedTuple):
    """One check after a fault: its name, whether it holds, and an explanation."""

    name: str
    holds: bool
    text: str


class AuditFindings(NamedTuple):
    """The auditor's findings before a fault and after it."""

    before: list[Finding]
    after: list[Finding]


class RetainedTick(NamedTuple):
    """The tick that the broker had retained after the recovery; None without one."""

    tick: Tick | None
    received: int
    """Number of tick messages that the listener had received before."""


@dataclass(frozen=True, slots=True)
class FaultWindow:
    """The ticks in which a fault began, was lifted and was recovered from, and what was lost."""

    first: int
    """The first tick that is checked."""
    injected: int
    lifted: int
    recovered: int
    last: int
    """The last tick that is checked; it is finished."""
    recovery_s: float
    """Seconds from lifting the fault until all devices were back."""
    restarted: frozenset[str] = frozenset()
    """Devices that restarted without memory."""
    missing: frozenset[str] = frozenset()
    """Devices that did not come back."""
    memory_lost: bool = False
    """Whether any device restarted without memory, in this fault or an earlier one."""


def check_recovery(
    observations: Observations,
    window: FaultWindow,
    all_ids: frozenset[str],
    audit: AuditFindings,
    retained: RetainedTick,
) -> list[RecoveryCheck]:
    """Return the eight checks after a fault; `all_ids` are those of all devices."""
    return [
        _all_online(observations, window, all_ids),
        _ledgers(observations, window, all_ids),
        _money(observations, window, all_ids),
        _packages(observations, window, audit),
        _audit_check("no port is booked twice", _PORT_INVARIANTS, audit),
        _retained(observations, retained),
        _no_stale_bid(observations, window, audit),
        _other_invariants(audit),
    ]


def _all_online(observations: Observations, window: FaultWindow, all_ids: frozenset[str]) -> RecoveryCheck:
    missing = (
        window.missing
        | (all_ids - observations.online)
        | (all_ids - observations.accounts.get(window.last, {}).keys())
    )
    seconds = f"{max(window.recovery_s, 0):.1f} s"
    text = f"{len(all_ids)} devices, {seconds} after the end of the fault, in tick {window.recovered}"
    return RecoveryCheck(
        "all devices are back", not missing, text if not missing else f"missing: {_shorten(sorted(missing))}"
    )


def _ledgers(observations: Observations, window: FaultWindow, all_ids: frozenset[str]) -> RecoveryCheck:
    """The ledger of each tick agrees: up to the recovery one tick after it, later ones in the next tick.

    A tick with messages missing here counts as agreed where the sum of all balances is 0.
    """
    balanced = not window.memory_lost and settled_balance_neur(observations, window, all_ids) == 0
    wrong: list[str] = []
    energy_wh = complete_tick = incomplete = 0
    without_account: set[str] = set()
    for tick in range(window.first, window.last + 1):
        ledger = tick_ledger(observations, tick)
        energy_wh += ledger.sold_wh
        if not ledger.agrees and tick in observations.gaps and balanced:
            incomplete += 1
            continue
        complete_tick = max(complete_tick, ledger.complete_tick if tick <= window.recovered else 0)
        excused = ledger.without_account <= window.restarted and tick <= window.recovered
        if ledger.without_account and not excused and tick not in observations.gaps:
            wrong.append(f"tick {tick}: no account from {_shorten(sorted(ledger.without_account))}")
        elif not ledger.agrees:
            wrong.append(
                f"tick {tick}: {ledger.sold_wh} Wh sold for {ledger.earned_neur} nEUR, {ledger.bought_wh} Wh bought "
                f"for {ledger.paid_neur}, {ledger.unsettled_wh} Wh unsettled"
            )
        elif ledger.complete_tick > max(tick, window.recovered) + 1:
            wrong.append(f"tick {tick}: agrees only since tick {ledger.complete_tick}")
        without_account |= ledger.without_account
    text = f"ticks {window.first} to {window.last}: {energy_wh / 1000:.0f} kWh sold and bought, "
    text += f"complete in tick {max(complete_tick, window.recovered)}"
    if without_account:
        text += f"; {len(without_account)} restarted devices by their receipts"
    if incomplete:
        text += f"; {incomplete} ticks with missing messages by the balances"
    return RecoveryCheck("ledgers agree", not wrong, text if not wrong else _shorten(wrong))


def settled_balance_neur(
    observations: Observations, window: FaultWindow, all_ids: frozenset[str]
) -> int | None:
    """Return the sum of all balances in nEUR, once two ticks after the recovery have the same sum; None before.

    Between two ticks it may differ by what a vehicle has charged and not paid yet.
    """
    sums: set[int] = set()
    for tick in range(window.recovered + 1, observations.tick):
        total_neur = total_balance_neur(observations.accounts.get(tick, {}), all_ids)
        if total_neur in sums:
            return total_neur
        if total_neur is not None:
            sums.add(total_neur)
    return None


def _money(observations: Observations, window: FaultWindow, all_ids: frozenset[str]) -> RecoveryCheck:
    """The sum of all balances stays the same; it is 0 unless a device has restarted without memory."""
    name = "no money is lost"
    total_neur = settled_balance_neur(observations, window, all_ids)
    if total_neur is None:
        return RecoveryCheck(name, holds=False, text="the sum of all balances changes, or is unknown")
    text = f"the sum of all balances is {total_neur / NEUR_PER_EUR:.9g} EUR"
    if window.memory_lost:
        return RecoveryCheck(
            name, holds=True, text=f"{text} and does not change; a device restarted without memory"
        )
    return RecoveryCheck(name, total_neur == 0, text)


def _packages(observations: Observations, window: FaultWindow, audit: AuditFindings) -> RecoveryCheck:
    ticks = range(window.first, window.last + 1)
    wrong = [*oversold_packages(observations, ticks), *observations.contradictions]
    check = _audit_check("packages", _PACKAGE_INVARIANTS, audit)
    count = sum(len(observations.market(tick).receipts) for tick in ticks)
    if not check.holds:
        wrong.append(check.text)
    text = f"{count} receipts do not exceed bids, awards and supplies" if not wrong else _shorten(wrong)
    return RecoveryCheck("no package is sold twice", count > 0 and not wrong, text)


def _retained(observations: Observations, retained: RetainedTick) -> RecoveryCheck:
    tick, received = retained
    name = "retained tick is current"
    if tick is None:
        return RecoveryCheck(name, holds=False, text="the broker has none")
    text = f"tick {tick.tick}, {tick.phase}"
    current = [(each.epoch, each.simulated_ms) for each in observations.ticks[max(received - 1, 0) :]]
    holds = (tick.epoch, tick.simulated_ms) in current
    return RecoveryCheck(
        name, holds, text if holds else f"{text}, but the site was in {observations.ticks[received - 1].tick}"
    )


def _no_stale_bid(observations: Observations, window: FaultWindow, audit: AuditFindings) -> RecoveryCheck:
    wrong = late_awards(observations, range(window.first, window.last + AFTER_TICKS + 1))
    check = _audit_check("stale", _STALE_INVARIANTS, audit)
    if not check.holds:
        wrong.append(check.text)
    text = "no award for a finished tick was accepted"
    return RecoveryCheck("no stale bid is acted on", not wrong, text if not wrong else _shorten(wrong))


def _other_invariants(audit: AuditFindings) -> RecoveryCheck:
    checked_above = {*_PORT_INVARIANTS, *_PACKAGE_INVARIANTS, *_STALE_INVARIANTS}
    names = tuple(finding.name for finding in audit.after if finding.name not in checked_above)
    return _audit_check("all other invariants hold", names, audit)


def _audit_check(name: str, invariants: tuple[str, ...], audit: AuditFindings) -> RecoveryCheck:
    """Return the auditor's breaches since the last fault; a check holds only if the auditor checked something."""
    before = {finding.name: finding for finding in audit.before}
    checked = 0
    wrong: list[str] = []
    for finding in audit.after:
        if finding.name in invariants:
            checked += finding.checked - before[finding.name].checked
            if new := finding.breaches - before[finding.name].breaches:
                examples = finding.examples[before[finding.name].breaches :]
                wrong.append(f"{finding.name} ({new}): {_shorten(examples) or 'see the report'}")
    return RecoveryCheck(
        name, checked > 0 and not wrong, "; ".join(wrong) or f"{checked} checks by the auditor"
    )


def _shorten(texts: Iterable[str]) -> str:
    all_texts = list(texts)
    more = len(all_texts) - MAX_EXAMPLES
    return ", ".join(all_texts[:MAX_EXAMPLES]) + (f" and {more} more" if more > 0 else "")
