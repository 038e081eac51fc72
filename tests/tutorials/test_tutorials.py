"""Every tutorial works: its files, its commands, and what it says that they print."""

import doctest
import lzma
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.flash.conftest import make_image, mtool, small_bundle
from tests.installation import Installation, install
from tests.tutorials import tutorial
from tests.tutorials.tutorial import Tutorial, TutorialError, blocks

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = ROOT / "docs" / "tutorials"
NETWORK: Final = ("unshare", "--map-current-user", "--net", "--keep-caps")
"""A network of its own: the default ports are free, and there is no internet."""


@pytest.fixture(scope="session")
def installation_with_pins(own_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """An environment with the wheel, as a reader has it."""
    return install(tmp_path_factory.mktemp("tutorials"), own_wheel, "gridfleet[run,pi]")


def follow(page: str, folder: Path, installation: Installation) -> None:
    """Run a page in a folder with the commands of an installation."""
    path = f"{installation.folder / 'bin'}{os.pathsep}{os.environ['PATH']}{os.pathsep}/usr/sbin"
    command = [*NETWORK, sys.executable, "-m", "tests.tutorials.tutorial", str(PAGES / page), str(folder)]
    environment = {**os.environ, "PATH": path, "PYTHONPATH": "", "PYTEST_ADDOPTS": ""}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_first_scenario(tmp_path: Path, installation_with_pins: Installation) -> None:
    follow("first-scenario.md", tmp_path, installation_with_pins)


def test_own_kind(tmp_path: Path, own_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """In an environment of its own, into which the reader's package is installed without the internet."""
    made = install(tmp_path_factory.mktemp("own-kind"), own_wheel, "gridfleet[run]", "setuptools")
    pip = made.folder / "bin" / "pip"
    pip.write_text(
        f'#!/bin/sh\nexec "{sys.executable}" -m pip --python "{made.python}" "$@" --no-index --no-build-isolation\n',
        encoding="utf-8",
    )
    pip.chmod(0o755)
    follow("own-kind.md", tmp_path, made)


@pytest.mark.slow
def test_first_run(tmp_path: Path, installation_with_pins: Installation) -> None:
    follow("first-run.md", tmp_path, installation_with_pins)


@pytest.mark.slow
@pytest.mark.mosquitto
def test_first_device(tmp_path: Path, installation_with_pins: Installation) -> None:
    follow("first-device.md", tmp_path, installation_with_pins)


@pytest.mark.slow
@pytest.mark.mosquitto
def test_first_site(tmp_path: Path, installation_with_pins: Installation) -> None:
    follow("first-site.md", tmp_path, installation_with_pins)


@pytest.mark.slow
@pytest.mark.mosquitto
@pytest.mark.mtools
def test_raspberry_pi(
    tmp_path: Path, installation_with_pins: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to the image; what the reader downloads is made here."""
    small_bundle(tmp_path / "bundle")
    image = tmp_path / "raspios-lite-arm64.img"
    make_image(image)
    (tmp_path / "raspios-lite-arm64.img.xz").write_bytes(lzma.compress(image.read_bytes(), preset=0))
    image.unlink()
    key = tmp_path / "home" / ".ssh" / "id_ed25519.pub"
    key.parent.mkdir(parents=True)
    key.write_text("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA me@desk\n", encoding="utf-8")
    monkeypatch.setenv("HOME", str(key.parents[1]))
    follow("raspberry-pi.md", tmp_path, installation_with_pins)
    volume = f"{tmp_path / 'roof-turbine.img'}@@{2048 * 512}"
    device = mtool("mtype", "-i", volume, "::/gridfleet/device.toml").decode()
    assert "mqtts://192.0.2.10:8883" in device
    assert b"roof-turbine" in mtool("mtype", "-i", volume, "::/user-data")


# --- what runs them ---


def steps(page: str, folder: Path) -> list[str]:
    return list(Tutorial(page, folder).run())


def test_a_page_writes_files_runs_commands_and_compares(tmp_path: Path) -> None:
    page = (
        "```toml file=a/b.toml\nx = 1\n```\n```sh\ncat a/b.toml; seq 4\n```\n```text\nx = …\n…\n4\n```\n"
        "```sh elsewhere\nfalse\n```\n"
        "```sh terminal=t\ntrap 'exit 130' INT; echo ready; while sleep 0.1; do :; done\n```\n"
        "```text\nready\n```\n"
    )
    assert len(steps(page, tmp_path)) == 7


@pytest.mark.parametrize(
    ("page", "error"),
    [
        ("```sh\nexit 3\n```\n", "exit code 3"),
        ("```sh\necho one\n```\n```text\ntwo\n```\n", "--- expected ---\ntwo"),
        ("```sh\nprintf 'a\\nc\\n'\n```\n```text\na\nb\n```\n", "--- expected ---\na\nb"),
        ("```sh terminal=t\nexit 4\n```\n```text\nready\n```\n", "--- expected ---\nready"),
        ("```sh terminal=t ends\nexit 4\n```\n", "exit code 4"),
        ("```text\nready\n```\n", "an output without a command"),
        ("```sh terminl=t\ntrue\n```\n", "unknown option terminl"),
    ],
)
def test_a_page_that_is_wrong_fails(page: str, error: str, tmp_path: Path) -> None:
    with pytest.raises(TutorialError) as found:
        steps(page, tmp_path)
    assert error in str(found.value)


def test_every_tutorial_is_run() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    assert [page.name for page in PAGES.glob("*.md") if f'"{page.name}"' not in source] == []


@pytest.mark.parametrize("page", sorted(PAGES.glob("*.md")), ids=lambda page: page.name)
def test_a_reader_learns_the_names_of_files(page: Path) -> None:
    """The info string of a block is not shown, so the text before names the file."""
    text = page.read_text(encoding="utf-8")
    for block in blocks(text):
        if name := block.options.get("file"):
            before = text.splitlines()[: block.line - 1]
            assert f"`{name}`" in "\n".join(before[-6:]), f"{page.name}, line {block.line}"


def test_examples_in_docstrings() -> None:
    assert doctest.testmod(tutorial).failed == 0
