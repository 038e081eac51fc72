import re
from pathlib import Path

from gridfleet.provisioning.cli.exit_codes import ExitCode
from tests.provisioning.shell import ESCAPE, on_terminal, plain


def test_a_terminal_shows_tick_time_price_and_time_left(tmp_path: Path) -> None:
    done = on_terminal("simulate", "normal", "--ticks", "200", "--no-report", cwd=tmp_path)
    assert done.code == ExitCode.SUCCESS
    text = plain(done.out)
    assert "/200 " in text
    assert "02 Jun " in text
    assert " EUR/kWh 0" in text
    assert done.out.count("\x1b[?25l") == done.out.count("\x1b[?25h") == 1
    assert "\x1b[32mhold\x1b[0m in " in done.out
    assert re.fullmatch(r"Files     out/normal-\S+/", text.splitlines()[-1])


def test_no_color_is_respected(tmp_path: Path) -> None:
    env = {"NO_COLOR": "1"}
    done = on_terminal("simulate", "normal", "--ticks", "60", "--no-report", cwd=tmp_path, env=env)
    assert "/60 " in plain(done.out)
    assert [code for code in ("[3", "[9", "[4") if f"\x1b{code}" in done.out] == []


def test_a_dumb_terminal_gets_plain_text(tmp_path: Path) -> None:
    done = on_terminal(
        "simulate", "normal", "--ticks", "4", "--no-report", cwd=tmp_path, env={"TERM": "dumb"}
    )
    assert ESCAPE not in done.out
    assert done.out.startswith("normal, seed 49: 4 ticks")


def test_ctrl_c_on_a_terminal(tmp_path: Path) -> None:
    done = on_terminal("simulate", "normal", "--ticks", "100000", cwd=tmp_path, ctrl_c_at="tick 5")
    assert done.code == ExitCode.INTERRUPTED
    assert "Interrupted: the finished ticks are kept." in done.out
    assert re.fullmatch(r"Report    out/normal-\S+/report.html", plain(done.out).splitlines()[-1])


def test_ctrl_c_on_a_terminal_reaches_a_comparison_once(tmp_path: Path) -> None:
    words = ("compare", "normal", "--ticks", "100000", "--seeds", "2", "--jobs", "2")
    done = on_terminal(*words, cwd=tmp_path, ctrl_c_at="0/2 runs")
    assert done.code == ExitCode.INTERRUPTED
    assert "Traceback" not in done.out
    assert plain(done.out).splitlines()[-1] == "Interrupted: no run had finished."
