import re
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

from gridfleet.broker.install_command import install_command
from gridfleet.broker.protocol.messages import Mode
from gridfleet.devices.charging.ranking_registry import OFFER_RANKINGS
from gridfleet.devices.runtime.network_faults import Faults
from gridfleet.provisioning.cli import main as cli
from gridfleet.provisioning.cli.arguments import ALGORITHMS
from gridfleet.provisioning.cli.clock_options import MODES
from gridfleet.provisioning.cli.exit_codes import ExitCode
from gridfleet.provisioning.cli.main import main
from gridfleet.provisioning.commands.aliases import FORMER
from gridfleet.provisioning.commands.tree import COMMANDS, TREE
from tests.provisioning.shell import ESCAPE, gridfleet

HEAVY = ("matplotlib", "numpy", "rich", "shtab", "pydantic", "sqlite3", "iotcore", "tomli_w")


def usage_error(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == ExitCode.USAGE
    return capsys.readouterr().err


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return the standard error of a command that exits with 2."""
    assert main(words) == ExitCode.USAGE
    output = capsys.readouterr()
    assert output.out == ""
    return output.err


# --- help ---


MAX_WORDS = 22
"""The most words that the first help shows: it must be read at one glance."""
GROUPS = sorted({path.split()[0] for path in COMMANDS if " " in path})


def help_text(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        main([*words, "--help"])
    assert stopped.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("path", COMMANDS)
def test_help_of_each_command_has_an_example_of_it(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = COMMANDS[path]
    text = help_text(capsys, *path.split())
    assert command.description in text
    assert command.examples
    for example in command.examples:
        assert f"  {example}\n" in text
        assert f"gridfleet {path}" in example


def test_exit_codes_are_in_the_help_of_gridfleet_alone(capsys: pytest.CaptureFixture[str]) -> None:
    text = help_text(capsys)
    for code in ExitCode:
        assert f"  {code.value:<5}" in text
    for path in (*GROUPS, *COMMANDS):
        assert "exit codes:" not in help_text(capsys, *path.split())


def test_the_first_help_shows_the_words_of_the_tree_under_their_headings(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = help_text(capsys)
    shown = re.findall(r"^    ([a-z]+) ", text, re.MULTILINE)
    assert shown == [member.name for section in TREE for member in section.members]
    assert set(shown) == {path.split()[0] for path in COMMANDS}
    assert re.findall(r"^  ([a-z ,]+):$", text, re.MULTILINE) == [section.heading for section in TREE]
    assert "  COMMAND\n" not in text
    assert len(shown) <= MAX_WORDS, "put the command into a group of provisioning/commands/tree.py"


@pytest.mark.parametrize(
    "group", [name for name in GROUPS if name not in FORMER]
)  # `broker` alone is an alias
def test_a_group_alone_shows_its_commands(group: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = refused(capsys, group)
    names = [path.split()[1] for path in COMMANDS if path.startswith(f"{group} ")]
    assert re.findall(r"^    ([a-z]+) ", text, re.MULTILINE) == names
    assert text == help_text(capsys, group)


def test_help_fits_into_a_terminal_of_110_columns(capsys: pytest.CaptureFixture[str]) -> None:
    for path in ("", *GROUPS, *COMMANDS):
        assert max(map(len, help_text(capsys, *path.split()).splitlines())) <= 110, path


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert "commands:" in refused(capsys)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == "gridfleet 0.1.0\n"


def test_names_repeated_for_speed_equal_those_that_they_repeat(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(ALGORITHMS) == OFFER_RANKINGS.names()
    assert set(MODES) == set(Mode)
    with pytest.raises(SystemExit):
        main(["simulate", "--help"])
    text = capsys.readouterr().out
    assert [name for name in Faults.model_fields if name not in text] == []


LOADED = """
import sys
from gridfleet.provisioning.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
print("loaded:", *(name for name in {heavy!r} if name in sys.modules), file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("words", "allowed"),
    [
        (["--help"], ()),
        (["simulate", "--help"], ()),
        (["--version"], ()),
        (["scenario", "list"], ("pydantic",)),
        (["scenario", "check", "normal"], ("pydantic",)),
        (["scenario", "show", "normal"], ("pydantic", "tomli_w")),
        (["completion", "bash"], ("pydantic", "shtab")),
        (["simulate", "normal", "--ticks", "1", "--no-report"], ("pydantic", "sqlite3")),
    ],
    ids=lambda words: " ".join(words) or "-",
)
def test_a_command_loads_only_what_it_needs(
    words: list[str], allowed: tuple[str, ...], tmp_path: Path
) -> None:
    code = LOADED.format(heavy=HEAVY)
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert set(done.stderr.splitlines()[-1].split()[1:]) <= set(allowed)


# --- mistakes, each with what is allowed ---


def test_an_unknown_scenario(capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, "simulate", "nomal") == (
        "gridfleet: nomal: no such scenario or file; did you mean 'normal'? (shipped: normal, scarce, storm, town)\n"
    )


def test_a_value_that_is_not_allowed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("ticks = 10\n[chargers]\nports = 0\ncont = 5\n")
    assert refused(capsys, "scenario", "show", str(file)).splitlines() == [
        f"gridfleet: {file}, line 3: chargers.ports = 0: must be at least 1",
        f"gridfleet: {file}, line 4: chargers.cont: unknown key; did you mean 'count'?",
    ]


def test_a_file_that_is_not_toml(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("ticks = = 10\n")
    problem = f"gridfleet: {file}, line 1: is not TOML: invalid value in column 9\n"
    assert refused(capsys, "run", str(file)) == problem
    file.write_text("ticks = 10\nsite = ")
    assert f"{file}, line 2: is not TOML: invalid value at the end" in refused(capsys, "run", str(file))


def test_a_weather_file_that_is_missing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[weather]\nsource = "csv"\nfiles = ["wind.csv"]\n')
    for command in ("scenario check", "scenario show", "simulate", "run", "compare"):
        assert str(tmp_path / "wind.csv") in refused(capsys, *command.split(), str(file))


def test_a_wrong_value_of_set(capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, "simulate", "normal", "--set", "settings.turbine_scale=3") == (
        "gridfleet: normal.toml: settings.turbine_scale = 3: must be at most 2 (from --set)\n"
    )


def test_an_unknown_fault_and_a_wrong_one(capsys: pytest.CaptureFixture[str]) -> None:
    text = refused(capsys, "simulate", "normal", "--faults", "los=0.1")
    assert text == "gridfleet: --faults los=0.1: unknown key; did you mean 'loss'?\n"
    assert refused(capsys, "simulate", "normal", "--faults", "loss=2") == (
        "gridfleet: --faults loss=2: must be at most 1\n"
    )


@pytest.mark.parametrize(
    ("option", "example"), [("--set", "settings.turbine_scale=0.5"), ("--faults", "loss=0.05")]
)
def test_a_scenario_taken_for_a_value_of_an_option(
    option: str, example: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert usage_error(capsys, "simulate", option, "a=1", "storm").splitlines()[-2:] == [
        f"gridfleet simulate: error: {option} storm: expected key=value, e.g. {option} {example}",
        f"If 'storm' is the scenario, put it first: gridfleet simulate storm {option} …",
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["simulate"], "the following arguments are required: SCENARIO"),
        (["simulate", "normal", "--ticks", "0"], "'0' is not a whole number from 1 to 1000000"),
        (["simulate", "normal", "--seed", "x"], "'x' is not a whole number from 0 to 9223372036854775807"),
        (["simulate", "normal", "--tick", "3"], "unrecognized arguments: --tick 3"),
        (
            ["simulate", "normal", "--algorithm", "bets"],
            "'bets': no offer ranking of that name",
        ),
        (
            ["compare", "normal", "--algorithm", "best,"],
            "'': no offer ranking of that name",
        ),
        (["run", "--seconds-per-tick", "0"], "'0' is not a number of seconds above 0, up to 900"),
        (["run", "--seconds-per-tick", "nan"], "'nan' is not a number of seconds above 0, up to 900"),
        (["run", "--mode", "slow"], "invalid choice: 'slow'"),
        (["fly"], "invalid choice: 'fly'"),
        (["site", "fly"], "invalid choice: 'fly'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "-",
)
def test_wrong_usage_names_what_is_allowed(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in usage_error(capsys, *words)


def test_a_directory_that_is_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    for words in (["simulate", "normal"], ["compare", "normal"], ["run"]):
        assert refused(capsys, *words, "--out", str(tmp_path / "taken")) == (
            f"gridfleet: --out {tmp_path / 'taken'}: cannot be used as a directory (not a directory): "
            "name another\n"
        )


def test_a_trace_that_is_a_directory(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ["simulate", "normal", "--out", str(tmp_path / "out"), "--trace", str(tmp_path)]
    assert refused(capsys, *words) == (
        f"gridfleet: --trace {tmp_path}: cannot be written (is a directory): "
        "name a file that can be written to\n"
    )


def test_a_report_of_an_empty_directory(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert refused(capsys, "report", str(tmp_path)).startswith(f"gridfleet: {tmp_path}: contains no run (no ")


# --- failures ---


def fail(_arguments: object) -> int:
    raise ZeroDivisionError("by\nnothing")


def test_an_unexpected_failure_is_one_short_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(cli.EXECUTE, "scenario list", fail)
    assert main(["scenario", "list"]) == ExitCode.FAILED
    assert capsys.readouterr().err.splitlines() == [
        "gridfleet: unexpected failure: ZeroDivisionError: by",
        "gridfleet: nothing",
        "gridfleet: Add --debug for the traceback.",
    ]


def test_a_missing_package_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "tomli_w", None)
    assert refused(capsys, "scenario", "show", "normal") == (
        f"gridfleet: the Python package tomli-w is not installed: {install_command('tomli-w')}\n"
    )


def test_the_packages_named_are_those_of_the_extras_for_users(request: pytest.FixtureRequest) -> None:
    project = tomllib.loads((request.config.rootpath / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"]
    stated = [each for extra in ("run", "pi", "observe", "grafana") for each in extras[extra]]
    assert {re.split("[<>=]", each)[0] for each in stated} == set(cli.PACKAGES.values())
    assert all(find_spec(name) for name in cli.PACKAGES)


def test_debug_prints_the_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(cli.EXECUTE, "scenario list", fail)
    assert main(["scenario", "list", "--debug"]) == ExitCode.FAILED
    text = capsys.readouterr().err
    assert "Traceback (most recent call last)" in text
    assert "test_usage.py" in text


def test_a_closed_pipe_is_no_error(tmp_path: Path) -> None:
    command = f"{sys.executable} -m gridfleet scenario show storm | head -n 1"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True)  # noqa: S607
    assert done.stdout.startswith("# storm")
    assert done.stderr == ""


def test_characters_that_the_terminal_cannot_encode_are_no_error(tmp_path: Path) -> None:
    done = gridfleet("scenario", "list", cwd=tmp_path, env={"PYTHONIOENCODING": "ascii"})
    assert done.code == ExitCode.SUCCESS
    assert ESCAPE not in done.out
