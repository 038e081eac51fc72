"""An ear that loses its connection during a run: the auditor is told, and nothing is found broken."""

import pytest

from broker.address import BrokerAddress
from broker.embedded import EmbeddedBroker
from broker.messages import Message, Phase, Tick
from dashboards.recording import Recording
from devices.ear import Ear
from devices.fleet import Fleet
from devices.scenario import load
from devices.site import Site
from provisioning.results import facts_of


def test_a_site_tells_when_its_ear_may_have_missed_something(monkeypatch: pytest.MonkeyPatch) -> None:
    ears: list[Ear] = []
    returns: list[int] = []

    class Known(Ear):
        def __init__(self, *given: object, **named: object) -> None:
            super().__init__(*given, **named)  # type: ignore[arg-type]
            ears.append(self)

    def tap(_now_ms: int, _scope: str, _sender: str, message: Message) -> None:
        if isinstance(message, Tick) and (message.tick, message.phase) == (3, Phase.COMMERCE):
            ears[0].connection.drop("a cable that was pulled")

    monkeypatch.setattr("devices.site.Ear", Known)
    scenario = load("normal", ["vehicles.count=3", "chargers.count=3"])
    with EmbeddedBroker() as broker, Recording(None, facts_of(scenario), site=scenario.site) as recorded:

        def missed() -> None:
            returns.append(site.clock.tick)
            recorded.missed()

        address = BrokerAddress.parse(broker.url)
        site = Site(Fleet(scenario), address, ticks=40, taps=(recorded.tap, tap), missed=missed)
        site.run()
        assert len(returns) == 1
        assert recorded.finish().broken == ()
