"""Runs services of docker-compose.yml with podman: the same image, user, mounts, secrets and limits, without Docker.

No image comes from a registry: `tools/container-base` makes the base. Podman's images and containers are below build/,
separate from those of the user who runs the tests.
"""

import hashlib
import json
import os
import re
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tests.containers.files import ROOT, compose

CACHE: Final = ROOT / "build" / "containers"
BASE: Final = "localhost/gridfleet-base:latest"
IMAGE: Final = "localhost/gridfleet:test"
MAX_FILES: Final = 4096


def limit(kind: int) -> int:
    """Return a limit that podman may set: at most that of this process."""
    hard = resource.getrlimit(kind)[1]
    return MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_FILES)


LIMITS: Final = tuple(
    f"--ulimit={name}={limit(kind)}:{limit(kind)}"
    for name, kind in (("nofile", resource.RLIMIT_NOFILE), ("nproc", resource.RLIMIT_NPROC))
)


class Podman:
    """Podman with its own store of images and containers."""

    def __init__(self) -> None:
        # The path must be short, and always the same for a store.
        run = Path(tempfile.gettempdir()) / f"gridfleet-{hashlib.sha256(bytes(CACHE)).hexdigest()[:8]}"
        self._before = ("podman", "--root", str(CACHE / "store"), "--runroot", str(run), "--runtime", "runc")

    def __call__(self, *arguments: str, check: bool = True) -> str:
        """Run a command; return its standard output, or fail with its standard error."""
        done = subprocess.run([*self._before, *arguments], capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise AssertionError(
                f"podman {' '.join(arguments)[:300]}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
            )
        return done.stdout.strip()

    def output(self, *arguments: str) -> str:
        """Run a command; return its standard output and standard error."""
        both = subprocess.STDOUT
        return subprocess.run(
            [*self._before, *arguments], stdout=subprocess.PIPE, stderr=both, text=True, check=False
        ).stdout

    def exit_code(self, *arguments: str) -> int:
        """Run a command and return its exit code."""
        return subprocess.run([*self._before, *arguments], capture_output=True, check=False).returncode

    def build(self, wheel: Path) -> None:
        """Import the base, and build the image from it and from GridFleet's wheel, without a network."""
        tar = CACHE / "base.tar"
        stamp = str(int(tar.stat().st_mtime))
        imported = self("images", "--quiet", "--filter", f"label=made={stamp}", BASE, check=False)
        if not imported:
            self("import", "--change", f"LABEL made={stamp}", str(tar), BASE)
        with tempfile.TemporaryDirectory() as context:  # as the checkout is after `make dist`
            for name in ("Dockerfile", ".dockerignore", "requirements-image.lock"):
                shutil.copy(ROOT / name, context)
            (Path(context) / "dist").mkdir()
            shutil.copy(wheel, Path(context) / "dist")
            self(
                "build", *LIMITS, "--network=none", f"--volume={CACHE / 'wheels'}:/wheels:ro", "--format=docker",
                "--build-arg=PIP_NO_INDEX=1", "--build-arg=PIP_FIND_LINKS=/wheels", f"--build-arg=BASE={BASE}",
                f"--tag={IMAGE}", context,
            )  # fmt: skip


class Site:
    """Containers in one network, from the compose file with the variables of its `.env` and more variables."""

    def __init__(self, podman: Podman, folder: Path, variables: Mapping[str, str]) -> None:
        self._podman = podman
        self.folder = folder
        lines = (folder / ".env").read_text(encoding="utf-8").splitlines()
        self._variables = {**dict(line.split("=", 1) for line in lines), **variables}
        self._compose = compose()
        self._name = f"gridfleet-{os.getpid()}"
        self._containers: list[str] = []
        self._volumes: list[str] = []

    def open(self) -> None:
        """Create the network and the volumes."""
        self._podman("network", "create", self._name)
        for name, volume in self._compose["volumes"].items():
            options = [
                f"--opt={key}={self._substitute(value)}" for key, value in volume["driver_opts"].items()
            ]
            self._podman("volume", "create", *options, f"{self._name}-{name}")
            self._volumes.append(f"{self._name}-{name}")

    def close(self) -> None:
        """Remove containers, volumes and network."""
        for name in self._containers:
            self._podman("rm", "--force", "--time=5", name, check=False)
        for name in self._volumes:
            self._podman("volume", "rm", "--force", name, check=False)
        self._podman("network", "rm", "--force", self._name, check=False)

    def health_check(self, service: str) -> list[str]:
        """Return the command of a service's health check."""
        command: list[str] = self._compose["services"][service]["healthcheck"]["test"][1:]
        return command

    def up(self, service: str, number: int = 1, *, without: tuple[str, ...] = ()) -> str:
        """Start a container of a service, `without` options that begin so; return its name."""
        definition = self._compose["services"][service]
        name = f"{self._name}-{service}-{number}"
        image = IMAGE if definition["image"].startswith("gridfleet:") else BASE
        self._containers.append(name)
        options = self._options(definition)
        command = [
            self._substitute(each) for each in definition["command"] if not each.startswith(without or "\0")
        ]
        self._podman("run", "--detach", "--no-healthcheck", f"--name={name}", *options, image, *command)
        return name

    def logs(self, name: str) -> str:
        """Return the output of a container."""
        return self._podman.output("logs", name)

    def state(self, name: str) -> dict[str, Any]:
        """Return the state of a container as podman reports it."""
        found: dict[str, Any] = json.loads(self._podman("inspect", name))[0]
        return found

    def _options(self, definition: Mapping[str, Any]) -> list[str]:
        networks = definition["networks"]
        aliases = networks["site"]["aliases"] if isinstance(networks, dict) else []
        limits = definition["deploy"]["resources"]["limits"]
        return [
            f"--user={self._substitute(definition['user'])}",
            f"--network={self._name}",
            *(f"--network-alias={alias}" for alias in aliases),
            *(f"--cap-drop={each}" for each in definition["cap_drop"]),
            *(f"--security-opt={each.removesuffix(':true')}" for each in definition["security_opt"]),
            *(["--read-only", "--read-only-tmpfs=false"] if definition["read_only"] else []),
            *(f"--tmpfs={each}" for each in definition.get("tmpfs", ())),
            *(f"--volume={each}" for each in self._mounts(definition)),
            f"--memory={limits['memory']}",
            f"--cpus={limits['cpus']}",
            *LIMITS,
        ]

    def _mounts(self, definition: Mapping[str, Any]) -> list[str]:
        mounts = []
        for volume in definition.get("volumes", ()):
            if isinstance(volume, str):
                mounts.append(f"{self._name}-{volume}")
            else:
                mode = "ro" if volume.get("read_only") else "rw"
                mounts.append(f"{self.folder / volume['source']}:{volume['target']}:{mode}")
        for kind in ("configs", "secrets"):
            for each in definition.get(kind, ()):
                source, target = (each, f"/run/secrets/{each}") if isinstance(each, str) else each.values()
                mounts.append(f"{self.folder / self._compose[kind][source]['file']}:{target}:ro")
        return mounts

    def _substitute(self, text: str) -> str:
        """Substitute variables as docker compose does."""
        return re.sub(
            r"\$\{(\w+):-([^}]*)\}", lambda found: self._variables.get(found[1], found[2]), str(text)
        )
