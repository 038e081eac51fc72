"""A wind vane: a voltage that grows with the angle."""

from collections.abc import Sequence
from typing import Final

from gridfleet.devices.config.sensor_tables import AdcTable, VaneTable
from gridfleet.devices.edge.hardware.board import ADC_STEPS
from gridfleet.devices.edge.hardware.faults import SensorFault

MARGIN: Final = 0.02
"""Share of the reference voltage by which a voltage may lie outside of the calibrated range."""


def direction_deg(volts: float, table: VaneTable) -> float:
    """Return where the wind comes from, 0 to 360°, clockwise from north."""
    share = (volts - table.min_v) / (table.max_v - table.min_v)
    return (360.0 * min(max(share, 0.0), 1.0) - table.north_deg) % 360.0


def read(codes: Sequence[int], table: VaneTable, adc: AdcTable) -> tuple[float, SensorFault | None]:
    """Return the direction from the median of some codes; a voltage outside of the calibration is a broken wire."""
    code = sorted(codes)[len(codes) // 2]
    volts = code * adc.reference_v / ADC_STEPS
    margin_v = MARGIN * adc.reference_v
    if not table.min_v - margin_v <= volts <= table.max_v + margin_v:
        return 0.0, SensorFault.DISCONNECTED
    return direction_deg(volts, table), None
