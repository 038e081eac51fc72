"""The bench on pins wired back to themselves, as with `--hil gpio`; here the wires are mocked."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gridfleet.broker.brokers.embedded import EmbeddedBroker
from gridfleet.devices.edge.hil.bench import Bench
from gridfleet.devices.edge.hil.loop_back import FEEDS, PARTNERS, WiredPi
from gridfleet.devices.edge.hil.mock_pi import MockPi

from .files import CHARGER


def wired() -> WiredPi:
    """A mocked Pi with a wire between every pin and its partner, and a capacitor to each channel."""
    pi = MockPi()
    pi.factory.wires = PARTNERS | {partner: pin for pin, partner in PARTNERS.items()}

    def fed(feed: int, swing_v: float) -> Callable[[float], float]:
        def volts(now_s: float) -> float:
            del now_s
            pin: Any = pi.factory.pin(feed)
            return 1.65 if pin.function == "input" else 1.65 + (swing_v if pin.state else -swing_v)

        return volts

    pi.adc.feed(0, fed(FEEDS[0], 0.625))  # 14 A: 1.65 V over 8.2 kΩ and the 5 kΩ of the bias
    pi.adc.feed(1, fed(FEEDS[1], 0.851))  # 236 V: over 4.7 kΩ
    return WiredPi(pi.board())


@pytest.fixture
def bench(hil_broker: EmbeddedBroker) -> Iterator[Bench]:
    bench = Bench(hil_broker.url, "looped", wired())
    yield bench
    bench.close()


def test_a_charge_on_wired_pins(bench: Bench) -> None:
    text = CHARGER.replace("[lamp]\nred = 23\ngreen = 24\nblue = 25\n", "")
    charger = bench.charger(text + "[safety]\nmax_current_a = 20\n")
    charger.serve(bench.vehicle())
    charger.contactor.closes(within_s=3.0)
    bench.run(0.3)
    assert charger.control.current_a > 5.0  # the square wave shows that current flows
    charger.plant.unplug()
    charger.contactor.opens(within_s=0.1)
    assert charger.control.opened_because == "unplugged"


def test_faults_of_the_converter_need_mocked_pins(bench: Bench) -> None:
    with pytest.raises(AssertionError, match="mark the test hil_mock"):
        _ = bench.adc
