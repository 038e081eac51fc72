"""What the tests of a device of your own import: the bench with its parts, and the messages that devices exchange.

    from gridfleet.testing import Bench, Bid, Phase

    def test_it_bids(hil_bench: Bench) -> None: ...

What is public is listed here and in docs/how-to/devices/test-bench.md. It needs the extra `pi`, for mocked pins.
"""

from gridfleet.broker.protocol.messages import (
    Accept,
    Award,
    Bid,
    Bill,
    Call,
    ChargerState,
    Close,
    ConsumerState,
    Correction,
    Decline,
    Heartbeat,
    Incident,
    Lease,
    Message,
    Offer,
    Phase,
    Presence,
    ProducerState,
    Receipt,
    Release,
    Request,
    Residual,
    Sample,
    StorageState,
    Supply,
    Surplus,
    Tick,
    VehicleState,
)
from gridfleet.devices.edge.device_agent import build_agent
from gridfleet.devices.edge.hil.bench import Bench
from gridfleet.devices.edge.hil.participants import (
    MessageCollector,
    ScriptedBuyer,
    ScriptedClock,
    ScriptedSeller,
    ScriptedVehicle,
)
from gridfleet.devices.edge.hil.switch import Switch
from gridfleet.devices.edge.hil.under_test import ChargerUnderTest, DeviceUnderTest, TurbineUnderTest

__all__ = [
    "Accept",
    "Award",
    "Bench",
    "Bid",
    "Bill",
    "Call",
    "ChargerState",
    "ChargerUnderTest",
    "Close",
    "ConsumerState",
    "Correction",
    "Decline",
    "DeviceUnderTest",
    "Heartbeat",
    "Incident",
    "Lease",
    "Message",
    "MessageCollector",
    "Offer",
    "Phase",
    "Presence",
    "ProducerState",
    "Receipt",
    "Release",
    "Request",
    "Residual",
    "Sample",
    "ScriptedBuyer",
    "ScriptedClock",
    "ScriptedSeller",
    "ScriptedVehicle",
    "StorageState",
    "Supply",
    "Surplus",
    "Switch",
    "Tick",
    "TurbineUnderTest",
    "VehicleState",
    "build_agent",
]
