"""Which devices lie, how and since when; lies of other packages; what access rules and receivers deny a liar."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

import gridfleet
from gridfleet.broker.protocol.messages import Award, Bid, Message, Package, Role, State, Tick
from gridfleet.devices.agents.base import AgentError, Out
from gridfleet.devices.runtime.network_faults import Faults
from gridfleet.devices.runtime.simulation import Simulation
from gridfleet.devices.trust.liars.lie import Honest, Liar, LiarError, Lie
from gridfleet.devices.trust.liars.lying_agent import honest_account, lied_in
from gridfleet.devices.trust.liars.lying_devices import LyingDevice, liars_of, parse_liars
from gridfleet.devices.trust.liars.registry import LIES
from gridfleet.provisioning.cli.exit_codes import ExitCode
from tests.devices.test_liars import DEVICES, EVERY, TICKS, Log, arguments_of, run, scenario
from tests.plugins import registered
from tests.provisioning.shell import gridfleet as command

CONSUMERS: Final = frozenset({Role.CONSUMER})
ROLES: Final = {device: role for role, device in DEVICES.items()}


class Doubler(Liar):
    """Bids for everything twice."""

    def alter(self, scope: str, message: Message, now_ms: int) -> Out:
        return ((scope, message),) * (2 if isinstance(message, Bid) else 1)


def lie(liar: type[Liar], name: str = "mine") -> Lie:
    return Lie(name, CONSUMERS, "is a lie of a test", liar)


# --- which devices lie -------------------------------------------------------------------------------------


def test_what_is_written_is_what_is_parsed() -> None:
    texts = ["charger-03=overbill", "turbine-2=oversell,at:20", *arguments_of("collude", Role.PRODUCER)]
    lying = parse_liars(texts)
    assert [each.text for each in lying] == texts
    assert lying[1] == LyingDevice("turbine-2", "oversell", 20)
    assert liars_of({"turbine-2": "oversell,at:20"}) == (lying[1],)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["turbine-1"], r"--liars turbine-1: expected device=lie, e\.g\. charger-03=overbill"),
        (["=steal"], r"--liars =steal: expected device=lie"),
        (["turbine-1=stael"], r"--liars turbine-1=stael: 'stael': .*steal"),
        (["turbine-1=steal,at:-1"], r"'at:-1': expected at:TICK, such as at:20, or with:DEVICE"),
        (["turbine-1=steal,since:3"], r"'since:3': expected at:TICK"),
        (["turbine-1=steal,with:"], r"'with:': expected at:TICK"),
        (["turbine-1=steal", "turbine-1=oversell"], r"turbine-1 has a lie already; a device has one"),
    ],
)
def test_what_cannot_be_read_is_refused(arguments: list[str], problem: str) -> None:
    with pytest.raises(LiarError, match=problem):
        parse_liars(arguments)


def test_liars_of_the_public_api_are_a_dict() -> None:
    with pytest.raises(LiarError, match=r"liars: \['turbine-1'\]: expected a dict, such as \{'charger-03'"):
        liars_of(["turbine-1"])


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["turbine-3=steal"], r"liars turbine-3=steal: the scenario has no device 'turbine-3'; did you mean"),
        (["xyz=steal"], r"no device 'xyz'; `gridfleet scenario show` prints its tables"),
        (["charger-1=steal"], r"charger-1 is a charger; steal is a lie of these roles: producer"),
        (["clock=replay"], r"the scenario has no device 'clock'"),
        (["turbine-1=steal,with:turbine-2"], r"steal is a lie of one device alone; leave out with:turbine-2"),
        (["turbine-1=collude"], r"needs two devices that name each other: turbine-1=collude,with:DEVICE"),
        (["turbine-1=collude,with:household-1"], r"household-1=collude,with:turbine-1"),
        (["turbine-1=collude,with:turbine-1"], r"needs two devices that name each other"),
        ([f"turbine-1=steal,at:{TICKS}"], r"the run has 12 ticks, the last is 11; choose an earlier tick"),
    ],
)
def test_what_no_device_of_the_scenario_can_lie_is_refused(arguments: list[str], problem: str) -> None:
    with pytest.raises(LiarError, match=problem):
        Simulation(scenario(), liars=parse_liars(arguments))


@pytest.mark.parametrize(("name", "role"), EVERY)
def test_until_its_tick_a_device_is_honest(name: str, role: Role) -> None:
    lying = Log(*(f"{argument},at:{TICKS - 4}" for argument in arguments_of(name, role)))
    first_ms = next(
        at_ms for at_ms, _, _, each in lying.messages if isinstance(each, Tick) and each.tick == TICKS - 4
    )
    before = [[each for each in log.messages if each[0] < first_ms] for log in (lying, run())]
    assert before[0] == before[1] != []


@pytest.mark.parametrize("name", LIES.names())
def test_a_run_with_a_liar_is_repeatable(name: str) -> None:
    arguments = arguments_of(name, min(LIES.get(name).roles))
    assert Log(*arguments).messages == run(*arguments).messages


@pytest.mark.parametrize("name", LIES.names())
def test_a_liar_may_crash_as_other_devices_may(name: str) -> None:
    log = Log(*arguments_of(name, min(LIES.get(name).roles)), faults=Faults(crash=0.2))
    assert log.simulation.clock.finished
    assert log.simulation.fleet.liars <= {sender for _, _, sender, _ in log.messages}


def test_the_honest_account_of_a_liar_is_known() -> None:
    nodes = run("turbine-1=announce").simulation
    account = honest_account(nodes.agent("turbine-1"))
    assert isinstance(account, State)
    assert account.tick == TICKS - 1
    assert account != run("turbine-1=announce").of("turbine-1", State)[-1]
    assert honest_account(nodes.agent("turbine-2")) is None


def test_the_first_lie_of_a_liar_is_known() -> None:
    simulation = Log("turbine-1=withhold,at:3", "vehicle-1=under-report,at:2").simulation
    lies = [lied_in(simulation.agent(name)) for name in ("turbine-1", "vehicle-1", "turbine-2")]
    assert lies[0] == 3
    assert lies[1] is not None
    assert lies[1] >= 2
    assert lies[2] is None


# --- lies of other packages --------------------------------------------------------------------------------


def test_a_lie_of_another_package_is_known_by_its_name() -> None:
    with registered(LIES, lie(Doubler)):
        log = Log("household-1=mine")
    assert len(log.of("household-1", Bid)) == 2 * TICKS
    assert len(log.of("household-2", Bid)) == TICKS


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: lie(Doubler, "My lie"), r"name = 'My lie': a lie has up to 32 lower-case letters"),
        (lambda: Lie("mine", frozenset(), "", Doubler), r"mine: roles has nothing; allowed are producer"),
        (lambda: Lie("mine", frozenset({Role.CLOCK}), "", Doubler), r"mine: roles has clock; allowed are"),
        (lambda: lie(int), r"mine: liar must be a subclass of Liar"),  # type: ignore[arg-type]
    ],
)
def test_a_lie_that_cannot_be_one_is_refused(make: Callable[[], Lie], problem: str) -> None:
    with pytest.raises((ValueError, TypeError), match=problem):
        make()


class Raiser(Liar):
    def alter(self, scope: str, message: Message, now_ms: int) -> Out:
        raise KeyError("x")


class Undecodable(Liar):
    def alter(self, scope: str, message: Message, now_ms: int) -> Out:
        return ((scope, Bid(-1, (Package(0, 1, 1),))),) if isinstance(message, Bid) else ((scope, message),)


class Stubborn(Liar):
    """Awards itself energy, which only producers may, and takes no message."""

    def receive(self, scope: str, sender: str, message: Message, now_ms: int, honest: Honest) -> Out:
        return ()

    def on_phase(self, tick: Tick, now_ms: int) -> Out:
        return (("household-2", Award(tick.tick, 0, (Package(0, 1, 1),))),)


@pytest.mark.parametrize(
    ("liar", "problem"),
    [
        (Raiser, r"lie 'mine': KeyError: 'x' \(test_lying_devices\.py, line \d+\)"),
        (Undecodable, r"lie 'mine' publishes what no receiver decodes: bid: tick = -1"),
    ],
)
def test_a_mistake_in_a_lie_ends_the_run(liar: type[Liar], problem: str) -> None:
    with (
        registered(LIES, lie(liar)),
        pytest.raises(AgentError, match=f"^household-1, a consumer: tick 0: {problem}"),
    ):
        Log("household-1=mine")


def test_what_access_rules_deny_reaches_nobody_and_is_counted() -> None:
    with registered(LIES, lie(Stubborn)):
        log = Log("household-1=mine")
    assert not log.of("household-1", Award)
    assert log.of("household-1", State)[-1].refused["denied"] == 3 * TICKS - 1


# --- the public API and the command line -------------------------------------------------------------------


def test_simulate_takes_liars() -> None:
    result = gridfleet.simulate(
        gridfleet.Scenario.load("normal", {"vehicles.count": 2}),
        ticks=6,
        liars={"turbine-1": "withhold,at:2"},
    )
    sold = [row["tick"] for row in result.trades if row["producer"] == "turbine-1"]
    assert set(sold) == {0, 1}
    with pytest.raises(gridfleet.GridFleetError, match="liars turbine-99=steal: the scenario has no device"):
        gridfleet.simulate("normal", ticks=2, liars={"turbine-99": "steal"})


def test_the_command_takes_liars(tmp_path: Path) -> None:
    words = ("simulate", "normal", "--ticks", "4", "--no-report", "--out", "run")
    done = command(*words, "--liars", "turbine-1=steal,at:9", cwd=tmp_path)
    assert done.code == ExitCode.USAGE
    assert (
        "liars turbine-1=steal,at:9: the run has 4 ticks, the last is 3; choose an earlier tick" in done.err
    )
    done = command(*words, "--liars", "turbine-1=steal", "household-1=refuse-awards", cwd=tmp_path)
    assert done.code == ExitCode.BREACHED
    assert done.err == (
        "gridfleet: an invariant was breached: either GridFleet has a bug, or a device reports false values\n"
    )
