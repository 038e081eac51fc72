from pathlib import Path

import pytest

from gridfleet.devices.config.scenario import load, shipped
from gridfleet.provisioning.cli.main import main


def test_the_list_describes_each_scenario(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scenario", "list"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for name in shipped():
        scenario = load(name)
        assert (
            f"{name} {scenario.title} {scenario.about} {scenario.ticks} ticks ({scenario.ticks / 4:g} h)"
            in text
        )
    assert "hour 12: Gale" in text
    assert "20 chargers · 30 vehicles · 1 reactor" in text


def test_the_summary_counts_devices_of_every_kind(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[battery]\ncount = 2\n")
    assert main(["scenario", "check", str(file)]) == 0
    assert " · 2 batteries · 1 reactor" in capsys.readouterr().out


def test_names_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scenario", "list", "--names"]) == 0
    assert capsys.readouterr().out.split() == shipped()


def test_a_valid_file_is_printed_with_a_summary(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('title = "Two  cells\\n"\nticks = 8\n[area]\ncolumns = 2\n[commerce]\ncount = 2\n')
    assert main(["scenario", "show", str(file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "# mine: Two cells"
    assert lines[1] == "# 8 ticks (2 h) from 2025-06-02 00:00 · 2 cells · synthetic weather"
    assert "2 shops and offices" in lines[2]
    assert "package_kwh = 10.0" in lines


@pytest.mark.parametrize("name", shipped())
def test_the_output_of_check_is_the_same_scenario(
    name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["scenario", "show", name]) == 0
    file = tmp_path / f"{name}.toml"
    file.write_text(capsys.readouterr().out)
    assert load(str(file)).model_copy(update={"folder": ""}) == load(name)
