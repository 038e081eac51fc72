"""A listener that loses its connection during a run: the auditor is told, and no invariant is violated."""

import pytest

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.embedded import EmbeddedBroker
from gridfleet.broker.protocol.messages import Message, Phase, Tick
from gridfleet.dashboards.recording.recording import Recording
from gridfleet.devices.config.scenario import load
from gridfleet.devices.runtime.fleet import Fleet
from gridfleet.devices.runtime.listener import SiteListener
from gridfleet.devices.runtime.site import SiteRun
from gridfleet.provisioning.runs.results import facts_of


def test_a_run_reports_when_messages_may_have_been_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    listeners: list[SiteListener] = []
    returns: list[int] = []

    class Known(SiteListener):
        def __init__(self, *given: object, **named: object) -> None:
            super().__init__(*given, **named)  # type: ignore[arg-type]
            listeners.append(self)

    def receive(_now_ms: int, _scope: str, _sender: str, message: Message) -> None:
        if isinstance(message, Tick) and (message.tick, message.phase) == (3, Phase.TRADE):
            listeners[0].connection.drop("the cable is pulled")

    monkeypatch.setattr("gridfleet.devices.runtime.site.SiteListener", Known)
    scenario = load("normal", ["vehicles.count=3", "chargers.count=3"])
    with EmbeddedBroker() as broker, Recording(None, facts_of(scenario), site=scenario.site) as recorded:

        def missed() -> None:
            returns.append(site.clock.tick)
            recorded.note_gap()

        address = BrokerAddress.parse(broker.url)
        site = SiteRun(
            Fleet(scenario), address, ticks=40, receivers=(recorded.receive, receive), on_gap=missed
        )
        site.run()
        assert len(returns) == 1
        assert recorded.finish().broken == ()
