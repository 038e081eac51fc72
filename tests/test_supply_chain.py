"""What CI, developers and the image install from registries is pinned by hash, and runs no script meanwhile."""

import json
import re
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Final, NamedTuple

import pytest
import yaml

ROOT: Final = Path(__file__).parents[1]
SCRIPTS: Final = (
    ".ci/run",
    "Makefile",
    "Dockerfile",
    *(
        f"tools/{name}"
        for name in ("build-influxdb.sh", "container-base", "install-checkers", "observe-e2e.sh")
    ),
)
"""Everything that installs something, without the tests."""
PIP_LOCKS: Final = sorted(
    str(path.relative_to(ROOT)) for path in (*ROOT.glob("requirements*.lock"), *ROOT.glob("tools/pip/*.lock"))
)
NPM_LOCKS: Final = sorted(
    str(path.relative_to(ROOT))
    for path in (ROOT / "console" / "package-lock.json", *ROOT.glob("tools/checkers/*/package-lock.json"))
)
DEVICE_LOCK: Final = "requirements-device.lock"
OWN: Final = re.compile(r"--editable \.|gridfleet-\*\.whl")
"""Installs GridFleet itself."""


class Command(NamedTuple):
    """A command of a script, on one line, with the variables of the Makefile expanded."""

    script: str
    text: str


def commands(script: str) -> Iterator[Command]:
    """Yield the commands of a script, without comments, continued lines as one."""
    text = (ROOT / script).read_text(encoding="utf-8").replace("\\\n", " ")
    variables = dict(re.findall(r"^([A-Z_]+) *:= *(.*)$", text, re.MULTILINE))
    for line in text.splitlines():
        if line.lstrip().startswith(("#", "missing+=", "echo")) or re.match(r"[A-Z_]+ *:=", line):
            continue
        expanded = re.sub(r"\$\((\w+)\)", lambda found: variables.get(found[1], found[0]), line)
        for each in re.split(r"&&|\|\||;|\|", expanded):
            yield Command(script, re.sub(r"\s+", " ", each).strip())


def found(pattern: str) -> list[Command]:
    """Return the commands of all scripts in which a pattern is found."""
    return [each for script in SCRIPTS for each in commands(script) if re.search(pattern, each.text)]


def test_pip_installs_by_hash_alone() -> None:
    installed = found(r"-m pip\b.* (install|download) ")
    assert {each.script for each in installed} >= {"Makefile", "Dockerfile", "tools/install-checkers"}
    for each in installed:
        if OWN.search(each.text):
            assert "--no-deps" in each.text, each
            continue
        assert "--require-hashes" in each.text, each
        names = re.findall(r"--requirement (\S+)", each.text)
        assert names, each
        assert set(names) <= set(PIP_LOCKS), each


def test_npm_installs_from_lock_files_without_scripts() -> None:
    installed = found(r"\bnpm\b.*\b(ci|install|exec|i)\b|\bnpx\b")
    assert {each.script for each in installed} >= {"Makefile", "tools/install-checkers"}
    for each in installed:
        if "--package-lock-only" in each.text:  # `make lock`: installs nothing
            assert "--ignore-scripts" in each.text, each
        elif "apt-get" not in each.text:
            assert re.search(r"\bci\b.*--ignore-scripts|npm ci --ignore-scripts", each.text), each
    tests = (ROOT / "tests" / "conftest.py").read_text(encoding="utf-8")
    assert '[npm, "ci", "--ignore-scripts"]' in tests


def test_nothing_is_downloaded_past_the_lock_files() -> None:
    downloads = found(r"\b(curl|wget|git clone|pipx|uvx|easy_install)\b")
    assert [each for each in downloads if "http://127.0.0.1:" not in each.text] == []


@pytest.mark.parametrize("lock", PIP_LOCKS)
def test_every_lock_of_pip_is_used_and_has_hashes(lock: str) -> None:
    installed = {
        name for each in found(r"-m pip\b") for name in re.findall(r"--requirement (\S+)", each.text)
    }
    if lock == DEVICE_LOCK:  # for devices: bundles and memory cards
        assert lock in (ROOT / "provisioning" / "deploy" / "wheels.py").read_text(encoding="utf-8")
    else:
        assert lock in installed
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    if lock.startswith("tools/"):
        (tools,) = re.findall(r"for tool in ([a-z -]+);", makefile)
        assert Path(lock).stem in tools.split(), "make lock writes it"
        assert (ROOT / lock).with_suffix(".in").is_file()
    else:
        assert f"--output-file {lock}" in makefile
    lines = (ROOT / lock).read_text(encoding="utf-8").splitlines()
    starts = [number for number, line in enumerate(lines) if re.match(r"[a-z0-9]", line)]
    assert starts
    for start in starts:
        assert re.match(r"[a-zA-Z0-9._-]+(\[[a-z,]+\])?==\S+", lines[start]), lines[start]
        hashes = list(takewhile(lambda line: line.lstrip().startswith("--hash=sha256:"), lines[start + 1 :]))
        assert hashes, lines[start]


@pytest.mark.parametrize("lock", NPM_LOCKS)
def test_every_lock_of_npm_is_used_and_has_hashes(lock: str) -> None:
    folder = (ROOT / lock).parent
    packages = json.loads((ROOT / lock).read_text(encoding="utf-8"))["packages"]
    own = packages.pop("")
    declared = json.loads((folder / "package.json").read_text(encoding="utf-8"))
    for kind in ("dependencies", "devDependencies"):
        assert own.get(kind, {}) == declared.get(kind, {}), "`make lock` was not run"
    for name, package in packages.items():
        assert package["integrity"].startswith("sha512-"), name
        assert "resolved" not in package, f"{name}: a lock file names no registry"
    checkers = (ROOT / "tools" / "install-checkers").read_text(encoding="utf-8")
    assert folder.name == "console" or re.search(rf"^npm_checker {folder.name}\b", checkers, re.MULTILINE)


def test_ci_calls_only_what_is_tested_here() -> None:
    """The system packages come from the distribution, which signs them."""
    called = {word for each in commands(".ci/run") for word in re.findall(r"\btools/[\w.-]+", each.text)}
    assert called <= set(SCRIPTS)
    assert any(each.text.startswith("make checkers") for each in commands(".ci/run"))
    targets = {word for each in commands(".ci/run") for word in re.findall(r"^make ([a-z-]+)", each.text)}
    assert targets == {"checkers", "influxdb", "check", "test-all"}


def test_images_have_an_exact_version() -> None:
    """Their digests are not pinned: SECURITY.md says so, and how an operator pins them."""
    (base,) = re.findall(r"^ARG BASE=(\S+)", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    images = [base, *(service["image"] for service in services.values() if "image" in service)]
    others = [each for each in images if not each.startswith("gridfleet:")]
    assert len(others) >= 4
    for image in others:
        assert re.fullmatch(r"docker\.io/[a-z-]+/[a-z-]+:\d+\.\d+\.\d+(-[a-z-]+)?", image), image
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    assert "digest" in text
    assert "--build-arg BASE=" in text
