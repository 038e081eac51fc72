"""The manifest of a run: everything that its results depend on, and the hash of each result; `rerun` repeats it.

It has no times of day, and not the folder of the results: the manifests of equal runs are equal to the byte.
"""

import hashlib
import platform
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, NamedTuple

import gridfleet
from gridfleet.broker.errors import error_reason
from gridfleet.broker.readers.files import read_bytes
from gridfleet.broker.readers.json_values import json_text, parse_json
from gridfleet.broker.readers.read_error import ReadError
from gridfleet.devices.config.scenario import Scenario, scenario_of
from gridfleet.provisioning.cli.exit_codes import CommandError
from gridfleet.provisioning.cli.version import product_version
from gridfleet.provisioning.runs.results import writing_results

FILE: Final = "manifest.json"
FORMAT: Final = 1
RESULTS: Final = (
    "ticks.csv", "ledger.csv", "reservations.csv", "agents.csv", "demand.csv", "welfare.csv", "indicators.csv",
    "summary.json", "report.html",
)  # fmt: skip
"""The results that are the same to the byte in an equal run."""
_PACKAGES: Final = ("paho-mqtt", "pydantic", "matplotlib", "numpy")
_FILE_KEYS: Final = ("load_file", "price_file")
_GIT_S: Final = 5
_PASSWORD: Final = re.compile(r"//[^/@]*@")
_MOST_BYTES: Final = 16 << 20


class Manifest(NamedTuple):
    """A manifest that was read: the scenario in force, and what else was asked for."""

    file: Path
    content: Mapping[str, Any]
    scenario: Scenario

    @property
    def command(self) -> str:
        """The command that wrote it: simulate or run."""
        return str(self.content["command"])

    @property
    def faults(self) -> dict[str, Any]:
        """The faults by their keys."""
        return dict(self.content["faults"])

    @property
    def liars(self) -> tuple[str, ...]:
        """The lying devices, as on the command line."""
        return tuple(map(str, self.content["liars"]))

    @property
    def results(self) -> dict[str, str]:
        """The hash of each result; nothing for a run that did not end."""
        return dict(self.content["results"])

    @property
    def report(self) -> bool:
        """Whether the run wrote its report."""
        return "report.html" in self.results

    def changed_inputs(self) -> list[str]:
        """Return a line for each input file that is not what it was."""
        found = []
        for each in self.content["inputs"]:
            path = Path(self.scenario.folder) / each["file"]
            if not path.is_file():
                found.append(f"{path}: is missing")
            elif file_hash(path) != each["sha256"]:
                found.append(f"{path}: has changed since the run")
        return found

    def other_versions(self) -> list[str]:
        """Return a line for each version that is not what it was; results may differ because of it."""
        then, now = self.content["versions"], versions()
        return [
            f"{name}: {then.get(name) or 'none'} then, {now.get(name) or 'none'} now"
            for name in sorted({*then, *now})
            if then.get(name) != now.get(name)
        ]


def manifest_of(
    scenario: Scenario,
    command: str,
    command_line: Sequence[str],
    *,
    overrides: Iterable[str] = (),
    faults: Mapping[str, Any] | None = None,
    liars: Iterable[str] = (),
) -> dict[str, Any]:
    """Return the manifest of a run that begins; `overrides` are the changes that were asked for, as written."""
    return {
        "format": FORMAT,
        "command": command,
        "command_line": command_words(command_line),
        "scenario": scenario.model_dump(mode="json", exclude={"folder"}, exclude_none=True),
        "folder": str(Path(scenario.folder).resolve()) if scenario.folder else "",
        "overrides": list(overrides),
        "faults": dict(faults or {}),
        "liars": list(liars),
        "seeds": {"run": scenario.seed, "streams": "SplitMix64 by seed and device; weather by seed"},
        "inputs": [
            {"file": name, "sha256": file_hash(Path(scenario.folder) / name)}
            for name in input_files(scenario)
        ],
        "versions": versions(),
        "commit": commit(),
        "results": {},
    }


def command_words(words: Sequence[str]) -> list[str]:
    """Return a command line without passwords, and without the folder of its results.

    >>> command_words(["run", "normal", "--broker", "mqtts://me:secret@host", "--out", "mine"])
    ['run', 'normal', '--broker', 'mqtts://…@host']
    """
    found: list[str] = []
    skip = False
    for word in words:
        if skip or word.startswith("--out="):
            skip = False
            continue
        skip = word == "--out"
        if not skip:
            found.append(_PASSWORD.sub("//…@", word))
    return found


def write_manifest(content: Mapping[str, Any], directory: Path, *, ended: bool = True) -> None:
    """Write manifest.json, with the hashes of the results where the run has ended.

    Raises FolderError where it cannot be written.
    """
    remedy = "make room, and run again: the results are complete but for the manifest"
    with writing_results(directory, remedy):
        present = [name for name in RESULTS if (directory / name).is_file()] if ended else []
        found = {name: file_hash(directory / name) for name in present}
        text = json_text({**content, "results": found}, indent=2, sort_keys=True, ensure_ascii=False)
        (directory / FILE).write_text(f"{text}\n", encoding="utf-8", newline="\n")


def read_manifest(path: Path) -> Manifest:
    """Return the manifest in a folder of results, or of a file; raise CommandError for what is none."""
    file = path / FILE if path.is_dir() else path
    try:
        content = parse_json(read_bytes(file, _MOST_BYTES))
    except (ReadError, OSError) as error:
        problem = error_reason(error) if isinstance(error, OSError) else str(error)
        raise CommandError(
            file, f"{problem}: name the folder of a run of `gridfleet simulate`, or its {FILE}"
        ) from None
    shape = {
        "format": int, "command": str, "command_line": list, "scenario": dict, "folder": str, "faults": dict,
        "liars": list, "inputs": list, "versions": dict, "results": dict,
    }  # fmt: skip
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CommandError(
            file, f"is no manifest of format {FORMAT}: run the scenario again with this version"
        )
    wrong = [name for name, kind in shape.items() if not isinstance(content.get(name), kind)]
    inputs = content["inputs"] if "inputs" not in wrong else []
    if not all(isinstance(each, dict) and {"file", "sha256"} <= each.keys() for each in inputs):
        wrong.append("inputs")
    if wrong:
        raise CommandError(file, f"{', '.join(wrong)}: missing or of another type: run the scenario again")
    return Manifest(file, content, scenario_of(content["scenario"], content["folder"], str(file)))


def input_files(scenario: Scenario) -> list[str]:
    """Return the files that a scenario reads, as it names them."""
    found = [*scenario.weather.files]
    if scenario.weather.station_list:
        found.append(scenario.weather.station_list)
    for group in scenario.groups:
        found += [name for key in _FILE_KEYS if (name := getattr(group.settings, key, ""))]
    return list(dict.fromkeys(found))


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file; raise OSError where it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def versions() -> dict[str, str]:
    """Return the versions of what computes results, by name."""
    found = {"gridfleet": product_version(), "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def commit() -> str:
    """Return the commit of the checkout that runs, with `+changes` where files differ from it; empty outside of one."""
    folder, git = Path(next(iter(gridfleet.__path__))).resolve().parent.parent, shutil.which("git")
    if git is None or not (folder / ".git").exists():
        return ""
    try:
        head, status = (
            subprocess.run(
                (git, "-C", str(folder), *words), capture_output=True, text=True, timeout=_GIT_S, check=True
            ).stdout.strip()
            for words in (("rev-parse", "HEAD"), ("status", "--porcelain", "--untracked-files=no"))
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return f"{head}+changes" if status else head
