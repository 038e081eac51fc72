"""The Dockerfile: versions are pinned, dependencies have hashes, the user is not root, and no other file goes in."""

import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from typing import Final

from tests.containers.files import DOCKERFILE, ROOT

TEXT = re.sub(r"\\\n\s*", "", DOCKERFILE.read_text(encoding="utf-8"))
LINES = [line for line in TEXT.splitlines() if line and not line.startswith("#")]


def arguments(instruction: str) -> list[str]:
    return [line.removeprefix(f"{instruction} ") for line in LINES if line.startswith(f"{instruction} ")]


def test_the_base_is_pinned_to_a_patch_version_and_can_be_replaced() -> None:
    assert arguments("FROM") == ["${BASE} AS build", "${BASE}"]
    base = next(each for each in arguments("ARG") if each.startswith("BASE="))
    assert re.fullmatch(r"BASE=docker\.io/library/python:3\.\d+\.\d+-slim-\w+", base)


def test_every_dependency_has_a_hash_and_is_a_wheel() -> None:
    first, second = arguments("RUN")
    for option in ("--require-hashes", "--only-binary :all:", "--no-cache-dir"):
        assert option in first
    assert "--no-deps --no-index gridfleet-*.whl" in second
    lock = (ROOT / "requirements-image.lock").read_text(encoding="utf-8")
    assert len(re.findall(r"^[a-z].*==", lock, re.MULTILINE)) == len(
        re.findall(r"^[a-z].* \\$", lock, re.MULTILINE)
    )


CHECK: Final = """
import sys
missing = set({missing!r})
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in missing:
            raise ModuleNotFoundError(f"{{name}} is not in the image", name=name)
sys.meta_path.insert(0, Finder())
from gridfleet.provisioning.cli.main import main
sys.exit(main(["scenario", "show", "normal"]))
"""
"""Runs `gridfleet scenario show` without the packages that this environment has and the image does not have."""


def test_check_works_with_the_packages_of_the_image() -> None:
    lock = (ROOT / "requirements-image.lock").read_text(encoding="utf-8")
    locked = {*re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE), "gridfleet"}
    missing = [
        module
        for module, owners in packages_distributions().items()
        if not locked & {re.sub("[-_.]+", "-", owner).lower() for owner in owners}
    ]
    assert "matplotlib" in missing
    assert "tomli_w" not in missing
    code = CHECK.format(missing=missing)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "[settings]" in done.stdout


def test_the_user_is_a_number_that_is_not_root() -> None:
    assert arguments("USER") == ["10001:10001"]
    after = LINES[LINES.index("USER 10001:10001") :]
    assert [line.split()[0] for line in after] == ["USER", "WORKDIR", "HEALTHCHECK", "ENTRYPOINT", "CMD"]


def test_only_named_files_go_into_the_image() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in ignored if line and not line.startswith("#")]
    assert rules[0] == "*"
    admitted = {line[1:] for line in rules if line.startswith("!")}
    copied = {
        name for line in arguments("COPY") if not line.startswith("--from") for name in line.split()[:-1]
    }
    assert copied == admitted
    assert copied == {"requirements-image.lock", "dist/gridfleet-*.whl"}
