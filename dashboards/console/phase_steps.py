"""The four steps of a tick, as the live page and `gridfleet watch` show its phases."""

from typing import Final

from gridfleet.broker.protocol.messages import Phase

STEPS: Final = {
    Phase.BID: (1, "Bid"),
    Phase.TRADE: (2, "Trade"),
    Phase.RESIDUAL: (2, "Trade"),
    Phase.SURPLUS: (2, "Trade"),
    Phase.EXCHANGE: (2, "Trade"),
    Phase.IMPORT: (3, "Import"),
    Phase.SETTLE: (4, "Settle"),
}
"""Number and name of the step that a phase belongs to; cells trade with their neighbours in step 2."""


def step_text(phase: Phase) -> str:
    """Return the step of a phase as text.

    >>> step_text(Phase.SURPLUS)
    '2 Trade'
    """
    number, name = STEPS[phase]
    return f"{number} {name}"
