"""The pytest plugin of the test bench: `--hil mock` needs gpiozero only, `--hil gpio` a Raspberry Pi wired to itself.

    def test_unplugging(hil_bench):
        charger = hil_bench.charger(CHARGER)
        charger.serve(hil_bench.vehicle())
        charger.contactor.closes(within_s=2.0)
        charger.plant.unplug()
        charger.contactor.opens(within_s=0.1)

A test marked `hil_mock` simulates faults that real pins cannot have; with `--hil gpio` it is deselected.
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
        help="pins under test: mocked, or those of this Raspberry Pi, wired back to themselves "
        "(docs/how-to/devices/test-bench.md)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line("markers", f"{MARKER}: simulates faults that only mocked pins have")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect tests that need mocked pins when real ones are tested."""
    if config.getoption("--hil") != "gpio":
        return
    deselected = [item for item in items if item.get_closest_marker(MARKER)]
    if deselected:
        config.hook.pytest_deselected(items=deselected)
        items[:] = [item for item in items if not item.get_closest_marker(MARKER)]


@pytest.fixture(scope="session")
def hil_broker() -> "Iterator[EmbeddedBroker]":
    """A broker for all benches of the session; each bench has a site of its own."""
    from gridfleet.broker.brokers.embedded import EmbeddedBroker

    with EmbeddedBroker() as broker:
        yield broker


@pytest.fixture
def hil_make_bench(request: pytest.FixtureRequest) -> "Iterator[Callable[[str], Bench]]":
    """Makes benches on a broker of your own, by its URL; closes them after the test."""
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
    """A bench with a scripted clock on a real broker, ready for a device to test."""
    return hil_make_bench(hil_broker.url)
