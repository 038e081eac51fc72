"""One reservation at a charger, as its own words have it."""

from typing import Final

from gridfleet.broker.protocol.messages import Lease

DISCHARGE_EFFICIENCY_PERCENT: Final = 94


class LeaseBook:
    """A reservation by the charger's own words; not `sure` since the charger was born again."""

    __slots__ = ("ended_ms", "energy_wh", "metered", "price", "said_wh", "sure", "until_ms")

    def __init__(self, lease: Lease) -> None:
        self.energy_wh = lease.energy_wh
        self.price = lease.price_ueur_per_kwh
        self.until_ms = lease.until_ms
        self.ended_ms: int | None = None
        self.metered = lease.metered
        self.said_wh = lease.drawn_wh if lease.metered else 0
        self.sure = True

    @property
    def outstanding_wh(self) -> int:
        """Battery energy still set aside for it, Wh, by what the meter or the vehicle says it has drawn."""
        drawn_wh = min(self.said_wh, self.energy_wh)
        return -(-self.energy_wh * 100 // DISCHARGE_EFFICIENCY_PERCENT) + (
            -drawn_wh * 100 // DISCHARGE_EFFICIENCY_PERCENT
        )
