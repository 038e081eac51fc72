"""The auditor's findings: for each invariant how often it was checked, how often broken, and examples."""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from gridfleet.dashboards.store.rows import Invariant

MAX_EXAMPLES: Final = 5
"""The first breaches of an invariant are described; the others are only counted."""


class Finding(NamedTuple):
    """The result for one invariant; `checked` is 0 where nothing was checked."""

    name: str
    what: str
    checked: int
    breaches: int
    examples: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether no breach was found."""
        return self.breaches == 0

    @property
    def invariant(self) -> Invariant:
        """The finding in the form of the store."""
        return Invariant(self.name, self.what, self.checked, self.breaches)

    def as_dict(self) -> dict[str, Any]:
        """Return the finding in the form of summary.json."""
        return {**self._asdict(), "examples": list(self.examples), "holds": self.holds}


class Tally:
    """Counts the checks and breaches of one invariant."""

    __slots__ = ("_unspecified", "breaches", "checked", "examples", "name", "what")

    def __init__(self, name: str, what: str) -> None:
        self.name = name
        self.what = what
        self.checked = 0
        self.breaches = 0
        self.examples: list[str] = []
        self._unspecified: list[str] = []

    def note_unspecified(self, rule: str) -> None:
        """Note that the prices of a clearing rule are not checked, because there is no usable specification of it."""
        if rule not in self._unspecified:
            self._unspecified.append(rule)
            self.what += f"; by {rule} only the bid limits a price: the auditor has no specification of it"

    def fail(self, text: str) -> None:
        """Count a breach; the first ones are kept as examples."""
        self.breaches += 1
        if len(self.examples) < MAX_EXAMPLES:
            self.examples.append(text)

    def finding(self) -> Finding:
        """Return the result so far."""
        return Finding(self.name, self.what, self.checked, self.breaches, tuple(self.examples))


class Tallies:
    """All invariants, in the order of the report."""

    def __init__(self, *, exact: bool) -> None:
        self.production = Tally(
            "production", "generated = announced = sold + curtailed + unsettled, by each producer's account"
        )
        self.books = Tally(
            "books", "what producers booked as sold equals the receipts and what consumers booked as bought"
        )
        self.cells = Tally(
            "cells", "per cell: generated + reactor + imported = sold + exported + curtailed, by the accounts"
        )
        self.settled = Tally(
            "settled",
            "nothing is unsettled when the tick ends"
            if exact
            else "what is unsettled when the tick ends gets a receipt soon after both sides are online",
        )
        self.packages = Tally("packages", "no package is sold twice, no receipt exceeds its award or the bid")
        self.supply = Tally("supply", "no producer awards or sells more than it announced")
        self.prices = Tally(
            "prices",
            "every award and receipt is at the price of the clearing rule, at most the bid",
        )
        self.payments = Tally("payments", "what consumers paid is what producers earned: energy times price")
        self.balances = Tally("balances", "each balance changes by exactly what was earned and paid")
        self.bounds = Tally("bounds", "batteries stay within 0 and capacity")
        self.batteries = Tally("batteries", "each battery changes by exactly what came and went")
        self.losses = Tally("losses", "losses are 10 % of what is charged and 6 % of what is discharged")
        self.delivery = Tally(
            "delivery",
            "what chargers delivered and earned is what vehicles drew and paid"
            if exact
            else "no charger delivered and no vehicle drew more than the meters counted",
        )
        self.reservations = Tally(
            "reservations", "each lease follows an offer and an acceptance, each bill the lease and the meter"
        )
        self.ports = Tally("ports", "never more reservations than ports")
        self.reserved = Tally("reserved", "the energy reserved is in the charger's battery")
        self.leases = Tally("leases", "every lease ends: by a release, or at its time without renewal")
        self.ticks = Tally(
            "ticks",
            "every phase begins at its announced time, none is left out"
            if exact
            else "phases follow each other in order, each at its time",
        )
        self.fresh = Tally(
            "fresh", "no new award or purchase for a finished tick; reminders end after 96 ticks"
        )
        self.honesty = Tally(
            "honesty", "no device contradicts itself or the limits of its registration: who does is named"
        )

    def restore(self, findings: Iterable[Finding]) -> None:
        """Continue counting from the findings of an earlier auditor of the same run."""
        tallies = {tally.name: tally for tally in vars(self).values()}
        for finding in findings:
            tally = tallies[finding.name]
            tally.what = finding.what
            tally.checked, tally.breaches = finding.checked, finding.breaches
            tally.examples = list(finding.examples)

    def findings(self) -> list[Finding]:
        """Return the result so far."""
        return [tally.finding() for tally in vars(self).values()]
