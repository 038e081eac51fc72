"""Scenarios and faults: every mistake is reported in one line, with source, key, value and what is allowed."""

import re
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridfleet.broker.errors import GridFleetError
from gridfleet.devices.config.scenario import Scenario, ScenarioError, load, parse, shipped
from gridfleet.devices.runtime.network_faults import FaultError, Faults, FaultyNetwork, parse_faults


def mistakes(text: str, *changes: str) -> tuple[str, ...]:
    with pytest.raises(ScenarioError) as caught:
        parse(text, "mine.toml", "", changes)
    error = caught.value
    assert isinstance(error, GridFleetError)
    assert isinstance(error, ValueError)
    assert str(error).count("\n") == len(error.problems) - 1
    assert all(re.match(r"mine\.toml(, line \d+)?: ", line) for line in str(error).splitlines())
    return error.problems


# --- what is right ---------------------------------------------------------------------------------------


def test_the_shipped_scenarios_load() -> None:
    assert shipped() == ["normal", "scarce", "storm", "town"]
    ticks = {name: load(name).ticks for name in shipped()}
    assert ticks == {"normal": 120, "scarce": 120, "storm": 240, "town": 672}
    assert all(load(name).title and load(name).about and load(name).name == name for name in shipped())
    assert load("scarce").settings.turbine_scale == 0.0
    assert [event.title for event in load("storm").events] == ["Gale", "Storm damage: turbines off"]


def test_the_default_fleet_is_the_originals() -> None:
    scenario = load("normal")
    consumers = [table.count for table in (scenario.households, scenario.commerce, scenario.farms)]
    assert (scenario.turbines.count, consumers, scenario.chargers.count) == (3, [1, 1, 1], 20)
    assert (scenario.vehicles.count, scenario.reactors.count) == (30, 1)
    assert (scenario.chargers.capacity_kwh, scenario.chargers.ports, scenario.chargers.max_kwh_per_tick) == (
        300,
        5,
        50,
    )
    assert scenario.market.package_kwh == 10
    assert scenario.market.reactor_price_eur_per_kwh == 0.9


def test_an_empty_file_is_a_scenario() -> None:
    assert parse("", "mine.toml") == Scenario(name="mine")


def test_a_users_own_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'title = "Größer"\n[vehicles]\ncount = 3\n[[events]]\nhour = 1\ntitle = "x"\nwind_scale = 2\n'
    )
    scenario = load(str(path))
    assert (scenario.name, scenario.title, scenario.vehicles.count) == ("mine", "Größer", 3)
    assert scenario.folder == str(tmp_path)
    assert scenario.events[0].wind_scale == 2.0


def test_a_file_may_have_any_name(tmp_path: Path) -> None:
    path = tmp_path / "my own größe (2).toml"
    path.write_text("")
    assert load(str(path)).ticks == 120


@pytest.mark.parametrize(
    ("change", "read"),
    [
        ("ticks=7", lambda s: s.ticks == 7),
        ("settings.turbine_scale=0.5", lambda s: s.settings.turbine_scale == 0.5),
        ("settings.algorithm=random", lambda s: s.settings.algorithm == "random"),
        ('settings.algorithm="closest"', lambda s: s.settings.algorithm == "closest"),
        ("vehicles.weights.price=3", lambda s: s.vehicles.weights.price == 3.0),
        ("title=two words", lambda s: s.title == "two words"),
        ("title=", lambda s: s.title == ""),
        ("title=a=b", lambda s: s.title == "a=b"),
        ("turbines.sites=[[50.0, 8.0]]", lambda s: s.turbines.sites == ((50.0, 8.0),)),
        ("start=2025-01-01T06:00:00", lambda s: s.start == datetime(2025, 1, 1, 6)),  # noqa: DTZ001 - local time
        ("start=2025-01-01", lambda s: s.start_ms == 1_735_689_600_000),
    ],
)
def test_a_change_on_the_command_line(change: str, read: object) -> None:
    assert callable(read)
    assert read(parse("", "mine.toml", "", [change]))


def test_later_changes_win_and_files_are_overruled() -> None:
    text = "ticks = 3\n[settings]\nturbine_scale = 0.1\n"
    scenario = parse(text, "mine.toml", "", ["ticks=4", "ticks=5", "settings.turbine_scale=0.2"])
    assert (scenario.ticks, scenario.settings.turbine_scale) == (5, 0.2)


# --- what is wrong ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("tick = 3", ("tick: unknown key", "did you mean 'ticks'?")),
        ("[setings]\nturbine_scale = 1", ("setings: unknown key", "did you mean 'settings'?")),
        (
            "[settings]\nturbin_scale = 1",
            ("settings.turbin_scale: unknown key", "did you mean 'turbine_scale'?"),
        ),
        (
            "[settings]\nturbine-scale = 1",
            ("settings.turbine-scale: unknown key", "did you mean 'turbine_scale'?"),
        ),
        ('"turbine scale" = 1', ("turbine scale: unknown key",)),
        ('"" = 1', ("unknown key",)),
        ("[vehicles.weights]\nprise = 1", ("vehicles.weights.prise: unknown key", "did you mean 'price'?")),
        ("[reactors]\nxyz = 1", ("reactors.xyz: unknown key", "allowed are count")),
        (
            "[[events]]\nhour = 1\ntitle = 'x'\nwindscale = 1",
            ("events.0.windscale", "did you mean 'wind_scale'?"),
        ),
        ("folder = '/etc'", ("folder: unknown key",)),
        ("ticks = 0", ("ticks = 0:", "at least 1")),
        ("ticks = 'many'", ("ticks = 'many':", "must be a whole number")),
        ("ticks = 1.5", ("ticks = 1.5:", "must be a whole number")),
        ("ticks = true", ("ticks = true:", "must be a whole number")),
        ("ticks = []", ("ticks = []:", "must be a whole number")),
        ("seed = -1", ("seed = -1:", "at least 0")),
        ("settings = 3", ("settings = 3:", "must be a table")),
        ("[settings]\nturbine_scale = 2.5", ("settings.turbine_scale = 2.5:", "at most 2")),
        ("[settings]\nturbine_scale = nan", ("settings.turbine_scale = nan:", "finite")),
        ("[settings]\nturbine_scale = inf", ("settings.turbine_scale = inf:",)),
        ("[settings]\nalgorithm = 'bets'", ("settings.algorithm = 'bets':", "weighted", "random", "install")),
        ("[area]\nsouth = 55", ("area", "south must be less than north")),
        ("[area]\nrows = 0", ("area.rows = 0:", "at least 1")),
        ("[vehicle]\ncount = 3", ("vehicle: unknown key", "did you mean 'vehicles'")),
        ("[turbines]\nrotor_diameter_m = [50]", ("turbines.rotor_diameter_m.1", "missing")),
        ("[turbines]\nrotor_diameter_m = [50, 60, 70]", ("turbines.rotor_diameter_m", "2")),
        ("[turbines]\nrotor_diameter_m = [50, 301]", ("turbines.rotor_diameter_m.1 = 301:", "300")),
        ("[turbines]\nsites = [[91, 0]]", ("turbines.sites.0.0 = 91:", "at most 90")),
        ("[chargers]\nports = 0", ("chargers.ports = 0:", "1")),
        ("[weather]\nsource = 'csv'", ("weather", "files are given")),
        ("[weather]\nsource = 'snow'", ("weather.source = 'snow':", "'synthetic'", "'csv'", "'dwd'")),
        ("[[events]]\nhour = 1", ("events.0.title", "missing")),
        ("[[events]]\nhour = -1\ntitle = 'x'", ("events.0.hour = -1:",)),
        ("start = 'soon'", ("start = 'soon':", "must be a date and time such as")),
        ("start = 2025-06-02T00:07:00", ("start = 2025-06-02T00:07:00:", "must be a full quarter")),
        ("start = 2025-06-02T00:00:00Z", ("start", "without a zone")),
        ("start = 1969-01-01", ("start", "from 1970")),
        ("start = 0001-01-01", ("start",)),
        ("name = 'a b'", ("name = 'a b':",)),
        ("name = ''", ("name = '':",)),
        ("site = 'a/b'", ("site = 'a/b':",)),
    ],
)
def test_a_mistake_is_reported_in_one_line(text: str, parts: tuple[str, ...]) -> None:
    problems = mistakes(text)
    assert len(problems) == 1
    for part in parts:
        assert part in problems[0]


def test_a_mistake_is_reported_with_its_line() -> None:
    with pytest.raises(ScenarioError) as caught:
        parse(
            "ticks = 3\n[[events]]\nhour = 1\ntitle = 'x'\n[[events]]\nhour = -1\ntitle = 'y'\n", "mine.toml"
        )
    assert str(caught.value) == "mine.toml, line 6: events.1.hour = -1: must be at least 0"


def test_every_mistake_is_reported() -> None:
    problems = mistakes("tick = 1\nseed = -1\n[settings]\nwind_scale = 9\n")
    assert sorted(problem.partition(":")[0].partition(" ")[0] for problem in problems) == [
        "seed", "settings.wind_scale", "tick",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ("ticks", "expected key=value"),
        ("=3", "expected key=value"),
        ("", "expected key=value"),
        ("ticks=", "ticks"),
        ("ticks=many", "ticks = 'many'"),
        ("tick=3", "did you mean 'ticks'?"),
        ("ticks.more=3", "ticks"),
        ("settings.turbine_scale.more=3", "settings.turbine_scale"),
        ("events.0.hour=3", "events"),
        ("settings.=3", "unknown key"),
        (".=3", "unknown key"),
        ("turbine-scale=3", "turbine-scale: unknown key"),
        ("settings.turbine_scale=three", "settings.turbine_scale = 'three'"),
        ("folder=/etc", "folder: unknown key"),
    ],
)
def test_a_wrong_change_is_reported_in_one_line(change: str, part: str) -> None:
    text = "ticks = 3\n[settings]\nturbine_scale = 1.0\n[[events]]\nhour = 1\ntitle = 'x'\n"
    with pytest.raises(ScenarioError) as caught:
        parse(text, "mine.toml", "", [change])
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_reported_with_the_shipped_scenarios(tmp_path: Path) -> None:
    for name in ("norml", "nowhere/at/all.toml", "", str(tmp_path), "x" * 5000, "a\0b"):
        with pytest.raises(ScenarioError, match="no such scenario or file") as caught:
            load(name)
        assert "normal, scarce, storm, town" in str(caught.value)
    with pytest.raises(ScenarioError, match="did you mean 'normal'"):
        load("norml")


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ScenarioError, match="cannot be read as UTF-8") as caught:
        load(str(path))
    assert str(caught.value).startswith(str(path))


@given(st.text(max_size=40), st.text(max_size=20))
def test_any_text_is_a_scenario_or_a_scenario_error(text: str, change: str) -> None:
    for given_text, changes in (
        (text, []),
        ("", [change]),
        ("", [f"{change}=1"]),
        ("", [f"settings.{change}=1"]),
    ):
        try:
            parse(given_text, "mine.toml", "", changes)
        except ScenarioError as error:
            assert error.problems  # noqa: PT017 - an error is one of two right answers


# --- faults ----------------------------------------------------------------------------------------------


def test_faults_are_off_unless_asked_for() -> None:
    assert parse_faults([]) == Faults()
    assert not Faults().any
    assert FaultyNetwork(Faults(), 1).delays_ms() == (0,)


def test_faults_are_read_from_the_command_line() -> None:
    faults = parse_faults(["loss=0.05", "delay_s=2", "keep_state=false", "from_tick=3", "to_tick=5"])
    assert faults == Faults(loss=0.05, delay_s=2.0, keep_state=False, from_tick=3, to_tick=5)
    assert faults.any


@pytest.mark.parametrize("name", ["loss", "duplicate", "delay_s", "reorder", "partition", "crash", "skew_s"])
def test_every_fault_counts_as_one(name: str) -> None:
    assert parse_faults([f"{name}=0.5"]).any


@pytest.mark.parametrize(
    ("word", "parts"),
    [
        ("loss", ("expected key=value",)),
        ("", ("expected key=value",)),
        ("=1", ("unknown key", "allowed are loss, duplicate")),
        ("los=0.1", ("los=0.1", "unknown key", "did you mean 'loss'?")),
        ("loss=2", ("loss=2", "must be at most 1")),
        ("loss=-0.1", ("loss=-0.1", "at least 0")),
        ("loss=much", ("loss=much", "number")),
        ("loss=", ("loss=", "number")),
        ("loss=nan", ("loss=nan", "finite")),
        ("keep_state=perhaps", ("keep_state=perhaps", "must be true or false")),
        ("down_ticks=0", ("down_ticks=0", "at least 1")),
        ("delay_s=601", ("delay_s=601", "600")),
        ("from_tick=-1", ("from_tick=-1",)),
    ],
)
def test_a_wrong_fault_is_reported_in_one_line(word: str, parts: tuple[str, ...]) -> None:
    with pytest.raises(FaultError) as caught:
        parse_faults(["duplicate=0.1", word])
    assert str(caught.value).startswith("--faults ")
    assert "\n" not in str(caught.value)
    for part in parts:
        assert part in str(caught.value)
    assert isinstance(caught.value, GridFleetError)


@given(st.integers(0, 99), st.floats(0, 1), st.floats(0, 1), st.floats(0, 600))
def test_a_faulty_network_is_repeatable_and_within_its_bounds(
    seed: int, loss: float, duplicate: float, delay_s: float
) -> None:
    faults = Faults(loss=loss, duplicate=duplicate, delay_s=delay_s)
    one, other = FaultyNetwork(faults, seed), FaultyNetwork(faults, seed)
    for _ in range(20):
        delays = one.delays_ms()
        assert delays == other.delays_ms()
        assert len(delays) <= 2
        assert all(0 <= delay_ms <= delay_s * 1000 + 10_001 for delay_ms in delays)


def test_shares_of_loss_and_duplication() -> None:
    network = FaultyNetwork(Faults(loss=0.2, duplicate=0.25), 1)
    copies = [len(network.delays_ms()) for _ in range(10_000)]
    assert copies.count(0) / len(copies) == pytest.approx(0.2, abs=0.02)
    assert copies.count(2) / len(copies) == pytest.approx(0.8 * 0.25, abs=0.02)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("ticks = \nseed = 1\n", "mine.toml, line 1: is not TOML: invalid value in column 9"),
        ("ticks = 3\n\n[settings\nx = 1\n", "mine.toml, line 3: is not TOML: "),
        (
            "ticks = 1\nticks = 2\nseed = 1\n",
            "mine.toml, line 2: is not TOML: cannot overwrite a value in column",
        ),
        ("ticks = 1\nsite = ", "mine.toml, line 2: is not TOML: invalid value at the end"),
    ],
)
def test_a_file_that_is_not_toml_is_reported_with_its_line(text: str, place: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        parse(text, source="mine.toml")
    assert str(caught.value).startswith(place)
