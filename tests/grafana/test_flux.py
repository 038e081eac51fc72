"""Every Flux text of pages and alert rules through InfluxData's own compiler front end."""

import pytest

from tests.flux.checker import needs_front_end, problems, wrong
from tests.grafana.macros import expanded
from tests.grafana.pages import rule_texts, texts


@pytest.mark.node
@needs_front_end
def test_every_query_of_pages_and_alert_rules_is_right() -> None:
    sent = {text.sent(): text.name for text in [*texts(), *rule_texts()]}  # the same text once
    assert len(sent) > 120
    assert wrong({f"{name} ({number})": flux for number, (flux, name) in enumerate(sent.items())}) == {}


@pytest.mark.node
@needs_front_end
def test_a_mistake_in_one_of_them_is_found() -> None:
    (text,) = [each for each in texts() if each.name == "gridfleet-overview: Reactor share [A]"][:1]
    mistakes = {
        "a word": text.flux.replace("filter", "filtr", 1),
        "a bracket": text.flux.replace("sum()", "sum(", 1),
        "a type": text.flux.replace('["_field"]', '"_field"', 1),
        "no macro": text.flux,
    }
    found = problems(
        {name: expanded(flux) if name != "no macro" else flux for name, flux in mistakes.items()}
    )
    assert all(found.values()), found


def test_macros_are_replaced_as_grafana_does_it() -> None:
    assert expanded("v.windowPeriod r.bucket v.bucketX", window="1m0s", bucket="b") == '1m0s "b" v.bucketX'
