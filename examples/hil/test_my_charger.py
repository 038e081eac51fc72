"""A charger with an agent of your own, cheaper at night, on the test bench.

Run it with `pytest`, or on a Raspberry Pi wired back to itself with `pytest --hil gpio`.
"""

from dataclasses import replace

import pytest

from gridfleet import Agent, DeviceControl, DeviceFile
from gridfleet.devices.agents.charger import Charger
from gridfleet.testing import Bench, Call, Message, Offer, build_agent

FILE = """\
id = "my-charger"
kind = "charger"
cell = "home"
place = [48.1, 11.6]
backend = "mock"        # on a Raspberry Pi: gpio

[broker]
url = "mqtt://localhost"  # replaced by the bench's broker

[adc]
[plug]
pin = 5
[contactor]
pin = 17
[stop]
pin = 6
[current]
channel = 0
"""


class NightCharger(Charger):
    """Asks a tenth less between midnight and six o'clock."""

    def on_call(self, scope: str, sender: str, call: Call, now_ms: int) -> list[tuple[str, Message]]:
        """Answer as the shipped charger does, then lower the price."""
        answers = super().on_call(scope, sender, call, now_ms)
        night = self.tick_ms // 3_600_000 % 24 < 6
        return [
            (to, replace(message, price_ueur_per_kwh=message.price_ueur_per_kwh * 9 // 10))
            if night and isinstance(message, Offer)
            else (to, message)
            for to, message in answers
        ]


def build_mine(file: DeviceFile, control: DeviceControl) -> Agent:
    """Build the agent under test with the bench's plug and meter."""
    return build_agent(file, control, NightCharger)


@pytest.fixture
def offer_at(hil_bench: Bench) -> Offer:
    """The offer to a vehicle at midnight, where the bench's clock begins."""
    mine = hil_bench.charger(FILE, build_mine)
    answer = hil_bench.vehicle().call(mine.device.file, 5_000)
    assert isinstance(answer, Offer)
    return answer


def test_it_is_cheaper_by_night(offer_at: Offer) -> None:
    """Half full, the shipped charger asks 0.51 EUR/kWh."""
    assert offer_at.price_ueur_per_kwh == 459_000


def test_it_charges_and_stops(hil_bench: Bench) -> None:
    """Its prices do not matter to the contactor, which the agent cannot close."""
    mine = hil_bench.charger(FILE, build_mine)
    mine.serve(hil_bench.vehicle())
    mine.contactor.closes(within_s=2.0)
    mine.plant.unplug()
    mine.contactor.opens(within_s=0.1)
