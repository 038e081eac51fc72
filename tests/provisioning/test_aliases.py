"""Former names of commands work for one release, and print the new name on standard error."""

import re
from pathlib import Path

import pytest

from gridfleet.provisioning.cli.exit_codes import ExitCode
from gridfleet.provisioning.cli.main import main
from gridfleet.provisioning.commands.aliases import FORMER, translated
from gridfleet.provisioning.commands.parser import make_parser
from gridfleet.provisioning.commands.tree import COMMANDS

ROOT = Path(__file__).parents[2]
LINES = {
    "scenarios --names": "scenario list --names",
    "check storm": "scenario show storm",
    "secrets keys --host b.example": "site init keys --host b.example --scenario normal",
    "secrets keys --scenario=storm": "site init keys --scenario=storm",
    "secrets keys --rotate --only clock": "site rotate keys --only clock --scenario normal",
    "broker": "site broker",
    "broker --secrets keys --port 0": "site broker --secrets keys --port 0",
    "clock normal --broker mqtt://b": "site clock normal --broker mqtt://b",
    "fleet normal --broker mqtt://b --part 1/2": "site fleet normal --broker mqtt://b --part 1/2",
    "record normal --broker mqtt://b": "site record normal --broker mqtt://b",
    "recorder status out/record": "site status out/record",
    "recorder --json status out/record": "site status --json out/record",
    "chaos normal --plan short": "site chaos normal --plan short",
    "dashboards push --token-file t": "grafana push --token-file t",
    "dashboards diff --token-file t": "grafana diff --token-file t",
    "dashboards annotate text --token-file t": "grafana annotate text --token-file t",
    "dashboards --token-file t push": "grafana push --token-file t",
    "compose storm": "deploy compose storm",
    "kubernetes normal": "deploy kubernetes normal",
    "flash charger-01 --boot /mnt": "device flash charger-01 --boot /mnt",
    "bundle bundles/pi64": "device bundle bundles/pi64",
    "upgrade --use-last-good": "device upgrade --use-last-good",
    "revoke charger-01": "device revoke charger-01",
    "doctor charger-01.toml": "device doctor charger-01.toml",
}
"""Command lines of the last release, and what they are now."""
UNCHANGED = (
    "run normal",
    "device run charger.toml",
    "device safe charger.toml",
    "influx setup --influx http://i",
    "broker check --broker mqtt://b",
    "site check",
    "--version",
)


@pytest.mark.parametrize("line", LINES)
def test_a_former_command_line_is_translated_and_the_new_name_printed(line: str) -> None:
    words, note = translated(line.split())
    assert " ".join(words) == LINES[line]
    path = make_parser().parse_args(words).command
    assert path in COMMANDS
    assert re.fullmatch(rf"`gridfleet [\w -]+` is now `gridfleet {path}`; .+", note)


def test_every_former_name_has_a_line() -> None:
    notes = [translated(line.split())[1] for line in LINES]
    named = {note.split("`")[1].removeprefix("gridfleet ").removesuffix(" --rotate") for note in notes}
    assert named | {"recorder", "dashboards"} == set(FORMER)  # alone, these two showed their help


@pytest.mark.parametrize("line", UNCHANGED)
def test_other_command_lines_stay_as_they_are(line: str) -> None:
    assert translated(line.split()) == (line.split(), "")


@pytest.mark.parametrize(
    ("line", "same"),
    [
        ("device --log json run charger.toml", "device run --log json charger.toml"),
        ("influx --out tokens setup", "influx setup --out tokens"),
    ],
)
def test_an_action_may_follow_the_options_as_before(line: str, same: str) -> None:
    assert translated(line.split()) == (same.split(), "")


def test_the_note_is_one_line_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scenario", "list", "--names"]) == ExitCode.SUCCESS
    expected = capsys.readouterr()
    assert expected.err == ""
    assert main(["scenarios", "--names"]) == ExitCode.SUCCESS
    output = capsys.readouterr()
    assert output.out == expected.out
    assert output.err == (
        "gridfleet: `gridfleet scenarios` is now `gridfleet scenario list`; the next release removes the former name\n"
    )


def test_broker_is_also_the_name_of_a_group(capsys: pytest.CaptureFixture[str]) -> None:
    check = ["broker", "check", "--broker", "mqtt://b"]
    assert translated(check) == (check, "")
    with pytest.raises(SystemExit):
        main(["broker", "--help"])
    assert "usage: gridfleet broker [-h] COMMAND" in capsys.readouterr().out


@pytest.mark.parametrize("former", [name for name in FORMER if name != "broker"])
def test_help_of_a_former_name_is_that_of_the_new_one(
    former: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([*former.split(), "--help"])
    assert stopped.value.code == 0
    assert f"usage: gridfleet {FORMER[former]}" in capsys.readouterr().out


def test_former_names_are_neither_in_the_help_nor_in_the_completion(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["completion", "bash"]) == ExitCode.SUCCESS
    script = capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    shown = set(re.findall(r"^    ([a-z]+) ", text, re.MULTILINE))
    subparsers = re.search(r"^_shtab_gridfleet_subparsers=\((.*)\)$", script, re.MULTILINE)
    assert subparsers is not None
    offered = set(re.findall(r"\w+", subparsers[1]))
    assert shown == offered
    assert {name.split()[0] for name in FORMER} & shown == {"broker"}  # the group of `broker check`


FORMER_IN_TEXT = re.compile(rf"(?<![\w/.-])gridfleet ({'|'.join(FORMER)})(?![\w.=/-])(?! =| check|`\*\*)")


def test_no_text_of_the_product_names_a_former_command() -> None:
    folders = ("broker", "devices", "dashboards", "provisioning", "docs", "examples", "tools")
    files = [
        *(path for folder in folders for path in (ROOT / folder).rglob("*")),
        *ROOT.glob("*.md"),
        ROOT / "docker-compose.yml",
        ROOT / "Makefile",
        ROOT / "Dockerfile",
    ]
    endings = {".py", ".md", ".toml", ".yml", ".yaml", ".json", ".service", ".sh", ".conf", ""}
    named = [
        f"{path.relative_to(ROOT)}: {found[0]}"
        for path in files
        if path.is_file() and path.suffix in endings and path.name not in {"CHANGELOG.md", "aliases.py"}
        for found in FORMER_IN_TEXT.finditer(path.read_text(encoding="utf-8", errors="replace"))
    ]
    assert named == []
