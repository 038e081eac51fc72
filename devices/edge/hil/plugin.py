"""The pytest plugin: `pytest --hil mock` needs nothing but this package, `pytest --hil gpio` a Pi wired to itself.

    def test_unplugging(hil_bench):
        charger = hil_bench.charger(CHARGER)
        charger.serve(hil_bench.vehicle())
        charger.contactor.closes(within_s=2.0)
        charger.plant.unplug()
        charger.contactor.opens(within_s=0.1)

A test marked `hil_mock` plays faults that real pins do not have; with `--hil gpio` it is deselected, and counted.
"""

from collections.abc import Callable, Iterator
from itertools import count
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from gridfleet.broker.brokers.embedded import EmbeddedBroker
    from gridfleet.devices.edge.hil.bench import Bench

MARKER: Final = "hil_mock"
_sites: Final = count(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --hil."""
    group = parser.getgroup("hil", "hardware in the loop")
    group.addoption(
        "--hil",
        choices=("mock", "gpio"),
        default="mock",
        help="pins under test: mocked, or those of this Raspberry Pi, wired back as docs/hardware.md draws it",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", f"{MARKER}: plays faults that only mocked pins have")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what real pins cannot play; pytest counts it as deselected."""
    if config.getoption("--hil") != "gpio":
        return
    left_out = [item for item in items if item.get_closest_marker(MARKER)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker(MARKER)]


@pytest.fixture(scope="session")
def hil_broker() -> "Iterator[EmbeddedBroker]":
    """A broker for all benches of the session, each on a site of its own."""
    from gridfleet.broker.brokers.embedded import EmbeddedBroker

    with EmbeddedBroker() as broker:
        yield broker


@pytest.fixture
def hil_make_bench(request: pytest.FixtureRequest) -> "Iterator[Callable[[str], Bench]]":
    """Makes benches on brokers of one's own, by their URL, and ends them."""
    from gridfleet.devices.edge.hil.bench import Bench

    benches: list[Bench] = []

    def make(url: str) -> Bench:
        pi = None
        if request.config.getoption("--hil") == "gpio":
            from gridfleet.devices.edge.hil.loop_back import wired_pi

            pi = wired_pi()
        bench = Bench(url, f"bench-{next(_sites)}", pi)
        benches.append(bench)
        return bench

    yield make
    for bench in benches:
        bench.close()


@pytest.fixture
def hil_bench(hil_broker: "EmbeddedBroker", hil_make_bench: "Callable[[str], Bench]") -> "Bench":
    """A bench with a clock and a listener on a real broker, waiting for a device to test."""
    return hil_make_bench(hil_broker.url)
