"""The verdict on one fault, from what was heard: each line says what was found, and whether it may be so."""

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from gridfleet.broker.protocol.messages import Tick
from gridfleet.broker.protocol.units import NEUR_PER_EUR
from gridfleet.dashboards.audit.findings import Finding
from gridfleet.provisioning.chaos.ledger import belated, oversold, page, wealth_neur
from gridfleet.provisioning.chaos.observations import Observations

AFTER_TICKS: Final = 2
"""So many whole ticks after a fault are watched."""
EXAMPLES: Final = 3
_PORTS: Final = ("ports", "reserved", "leases", "reservations")
_PACKAGES: Final = ("packages", "supply", "prices")
_STALE: Final = ("fresh",)


class Check(NamedTuple):
    """One question that is asked after every fault."""

    name: str
    holds: bool
    text: str


@dataclass(frozen=True, slots=True)
class Span:
    """When a fault struck, was lifted, and when everybody was back, in ticks of the site; and what it cost."""

    first: int
    """The first tick that is judged."""
    struck: int
    lifted: int
    back: int
    last: int
    """The last tick that is judged; it is over."""
    back_s: float
    """Seconds from lifting the fault until everybody was back."""
    reborn: frozenset[str] = frozenset()
    """Who has lost its memory."""
    missing: frozenset[str] = frozenset()
    """Who did not come back."""
    forgetful: bool = False
    """Whether anybody has lost its memory, now or before."""


def judge(
    evidence: Observations,
    span: Span,
    everybody: frozenset[str],
    audit: tuple[list[Finding], list[Finding]],
    retained: tuple[Tick | None, int],
) -> list[Check]:
    """Judge a fault: `audit` is what the auditor had found before it and after.

    `retained` is the tick that the broker kept once all were back, and how many had been heard when it was asked for.
    """
    return [
        _back(evidence, span, everybody),
        _ledger(evidence, span, everybody),
        _money(evidence, span, everybody),
        _packages(evidence, span, audit),
        _audited("no port is booked twice", _PORTS, audit),
        _retained(evidence, retained),
        _stale(evidence, span, audit),
        _rest(audit),
    ]


def _back(evidence: Observations, span: Span, everybody: frozenset[str]) -> Check:
    missing = (
        span.missing
        | (everybody - evidence.alive)
        | (everybody - evidence.accounts.get(span.last, {}).keys())
    )
    text = f"all {len(everybody)} devices, {max(span.back_s, 0):.1f} s after its end, in tick {span.back}"
    return Check("all are back", not missing, text if not missing else f"missing: {_some(sorted(missing))}")


def _ledger(evidence: Observations, span: Span, everybody: frozenset[str]) -> Check:
    """Each tick's ledger agrees: of those up to the fault's end one tick after it, of later ones in the next.

    What the recorder has not heard of a tick, the balances tell: where all own nothing together, all agree.
    """
    balanced = not span.forgetful and wealth(evidence, span, everybody) == 0
    wrong: list[str] = []
    energy_wh = settled = unheard = 0
    silent: set[str] = set()
    for tick in range(span.first, span.last + 1):
        found = page(evidence, tick)
        energy_wh += found.sold_wh
        if not found.agrees and tick in evidence.gaps and balanced:
            unheard += 1
            continue
        settled = max(settled, found.settled if tick <= span.back else 0)
        excused = found.silent <= span.reborn and tick <= span.back
        if found.silent and not excused and tick not in evidence.gaps:
            wrong.append(f"tick {tick}: no account from {_some(sorted(found.silent))}")
        elif not found.agrees:
            wrong.append(
                f"tick {tick}: {found.sold_wh} Wh sold for {found.earned_neur} nEUR, {found.bought_wh} Wh bought "
                f"for {found.paid_neur}, {found.unsettled_wh} Wh unsettled"
            )
        elif found.settled > max(tick, span.back) + 1:
            wrong.append(f"tick {tick}: agrees only since tick {found.settled}")
        silent |= found.silent
    text = f"{energy_wh / 1000:.0f} kWh of ticks {span.first} to {span.last} sold are those bought, "
    text += f"since tick {max(settled, span.back)}"
    if silent:
        text += f"; {len(silent)} of the killed are judged by receipts"
    if unheard:
        text += f"; {unheard} ticks by balances, for not all was heard"
    return Check("ledgers agree", not wrong, text if not wrong else _some(wrong))


def wealth(evidence: Observations, span: Span, everybody: frozenset[str]) -> int | None:
    """Return what all own together, nEUR, once the same is true after two ticks; None while it is not.

    Between two ticks it may differ by what a vehicle has drawn and not paid yet.
    """
    found: set[int] = set()
    for tick in range(span.back + 1, evidence.tick):
        total_neur = wealth_neur(evidence.accounts.get(tick, {}), everybody)
        if total_neur in found:
            return total_neur
        if total_neur is not None:
            found.add(total_neur)
    return None


def _money(evidence: Observations, span: Span, everybody: frozenset[str]) -> Check:
    """What all own together does not change; and is nothing, unless somebody has lost its memory."""
    name = "no money is lost"
    total_neur = wealth(evidence, span, everybody)
    if total_neur is None:
        return Check(name, holds=False, text="what all own together changes, or nobody knows")
    text = f"all together own {total_neur / NEUR_PER_EUR:.9g} EUR"
    if span.forgetful:
        return Check(name, holds=True, text=f"{text}, and still do; somebody forgot what it owned")
    return Check(name, total_neur == 0, text)


def _packages(evidence: Observations, span: Span, audit: tuple[list[Finding], list[Finding]]) -> Check:
    ticks = range(span.first, span.last + 1)
    wrong = [*oversold(evidence, ticks), *evidence.contradictions]
    check = _audited("packages", _PACKAGES, audit)
    count = sum(len(evidence.market(tick).receipts) for tick in ticks)
    if not check.holds:
        wrong.append(check.text)
    text = f"{count} receipts within bids, awards and supplies" if not wrong else _some(wrong)
    return Check("no package is sold twice", count > 0 and not wrong, text)


def _retained(evidence: Observations, retained: tuple[Tick | None, int]) -> Check:
    kept, heard = retained
    name = "retained tick is right"
    if kept is None:
        return Check(name, holds=False, text="the broker keeps none")
    what = f"tick {kept.tick}, {kept.phase}"
    known = [(tick.epoch, tick.simulated_ms) for tick in evidence.ticks[max(heard - 1, 0) :]]
    right = (kept.epoch, kept.simulated_ms) in known
    return Check(name, right, what if right else f"{what}, but it was {evidence.ticks[heard - 1].tick}")


def _stale(evidence: Observations, span: Span, audit: tuple[list[Finding], list[Finding]]) -> Check:
    wrong = belated(evidence, range(span.first, span.last + AFTER_TICKS + 1))
    check = _audited("stale", _STALE, audit)
    if not check.holds:
        wrong.append(check.text)
    text = "no award for a tick that was over was taken"
    return Check("no stale bid is acted on", not wrong, text if not wrong else _some(wrong))


def _rest(audit: tuple[list[Finding], list[Finding]]) -> Check:
    known = {*_PORTS, *_PACKAGES, *_STALE}
    names = tuple(finding.name for finding in audit[1] if finding.name not in known)
    return _audited("all other invariants hold", names, audit)


def _audited(name: str, invariants: tuple[str, ...], audit: tuple[list[Finding], list[Finding]]) -> Check:
    """Tell what the auditor has found since the last fault was judged; what it never looked at holds no more."""
    before = {finding.name: finding for finding in audit[0]}
    checked = 0
    wrong: list[str] = []
    for finding in audit[1]:
        if finding.name in invariants:
            checked += finding.checked - before[finding.name].checked
            if new := finding.breaches - before[finding.name].breaches:
                examples = finding.examples[before[finding.name].breaches :]
                wrong.append(f"{finding.name} ({new}): {_some(examples) or 'see the report'}")
    return Check(name, checked > 0 and not wrong, "; ".join(wrong) or f"{checked} checks of the auditor")


def _some(what: Any) -> str:  # noqa: ANN401 - whatever has words
    words = list(what)
    return ", ".join(words[:EXAMPLES]) + (
        f" and {len(words) - EXAMPLES} more" if len(words) > EXAMPLES else ""
    )
