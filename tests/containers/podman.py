"""Services of docker-compose.yml run by podman: the same image, user, mounts, secrets and limits, without Docker.

Images come from no registry: the base is what `tools/container-base` made. What podman keeps lies under build/, apart
from that of whoever runs the tests.
"""

import hashlib
import json
import os
import re
import resource
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tests.containers.files import ROOT, compose

CACHE: Final = ROOT / "build" / "containers"
BASE: Final = "localhost/gridfleet-base:latest"
IMAGE: Final = "localhost/gridfleet:test"
MOST_FILES: Final = 4096


def limit(kind: int) -> int:
    """What podman may ask for: it must not be more than this process has."""
    hard = resource.getrlimit(kind)[1]
    return MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)


LIMITS: Final = tuple(
    f"--ulimit={name}={limit(kind)}:{limit(kind)}"
    for name, kind in (("nofile", resource.RLIMIT_NOFILE), ("nproc", resource.RLIMIT_NPROC))
)


class Podman:
    """Podman with a store of its own."""

    def __init__(self) -> None:
        # Podman wants a short one, and always the same for a store.
        run = Path(tempfile.gettempdir()) / f"gridfleet-{hashlib.sha256(bytes(CACHE)).hexdigest()[:8]}"
        self._before = ("podman", "--root", str(CACHE / "store"), "--runroot", str(run), "--runtime", "runc")

    def __call__(self, *words: str, check: bool = True) -> str:
        """Run a command; return what it said on standard output, or fail with what it said on standard error."""
        done = subprocess.run([*self._before, *words], capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise AssertionError(
                f"podman {' '.join(words)[:300]}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
            )
        return done.stdout.strip()

    def said(self, *words: str) -> str:
        """Run a command; return what it said on both streams."""
        both = subprocess.STDOUT
        return subprocess.run(
            [*self._before, *words], stdout=subprocess.PIPE, stderr=both, text=True, check=False
        ).stdout

    def ends(self, *words: str) -> int:
        """Run a command that may fail; return its exit code."""
        return subprocess.run([*self._before, *words], capture_output=True, check=False).returncode

    def build(self) -> None:
        """Make the base known and build the image from it, without a network."""
        tar = CACHE / "base.tar"
        stamp = str(int(tar.stat().st_mtime))
        known = self("images", "--quiet", "--filter", f"label=made={stamp}", BASE, check=False)
        if not known:
            self("import", "--change", f"LABEL made={stamp}", str(tar), BASE)
        self(
            "build", *LIMITS, "--network=none", f"--volume={CACHE / 'wheels'}:/wheels:ro", "--format=docker",
            "--build-arg=PIP_NO_INDEX=1", "--build-arg=PIP_FIND_LINKS=/wheels", f"--build-arg=BASE={BASE}",
            f"--tag={IMAGE}", str(ROOT),
        )  # fmt: skip


class Site:
    """Containers of one network, made from the compose file with the variables of its `.env` and some more."""

    def __init__(self, podman: Podman, folder: Path, variables: Mapping[str, str]) -> None:
        self._podman = podman
        self.folder = folder
        lines = (folder / ".env").read_text(encoding="utf-8").splitlines()
        self._variables = {**dict(line.split("=", 1) for line in lines), **variables}
        self._whole = compose()
        self._name = f"gridfleet-{os.getpid()}"
        self._containers: list[str] = []
        self._volumes: list[str] = []

    def open(self) -> None:
        """Make the network and the volumes."""
        self._podman("network", "create", self._name)
        for name, volume in self._whole["volumes"].items():
            options = [f"--opt={key}={self._filled(value)}" for key, value in volume["driver_opts"].items()]
            self._podman("volume", "create", *options, f"{self._name}-{name}")
            self._volumes.append(f"{self._name}-{name}")

    def close(self) -> None:
        """End and forget everything."""
        for name in self._containers:
            self._podman("rm", "--force", "--time=5", name, check=False)
        for name in self._volumes:
            self._podman("volume", "rm", "--force", name, check=False)
        self._podman("network", "rm", "--force", self._name, check=False)

    def check_of(self, service: str) -> list[str]:
        """Return the command of a service's health check."""
        words: list[str] = self._whole["services"][service]["healthcheck"]["test"][1:]
        return words

    def up(self, service: str, number: int = 1, *, without: tuple[str, ...] = ()) -> str:
        """Start a container of a service, `without` some of its options; return its name."""
        what = self._whole["services"][service]
        name = f"{self._name}-{service}-{number}"
        image = IMAGE if what["image"].startswith("gridfleet:") else BASE
        self._containers.append(name)
        words = self._options(what)
        command = [self._filled(word) for word in what["command"] if not word.startswith(without or "\0")]
        self._podman("run", "--detach", "--no-healthcheck", f"--name={name}", *words, image, *command)
        return name

    def logs(self, name: str) -> str:
        """What a container has said, on both streams."""
        return self._podman.said("logs", name)

    def state(self, name: str) -> dict[str, Any]:
        """What podman knows of a container."""
        found: dict[str, Any] = json.loads(self._podman("inspect", name))[0]
        return found

    def _options(self, what: Mapping[str, Any]) -> list[str]:
        networks = what["networks"]
        aliases = networks["site"]["aliases"] if isinstance(networks, dict) else []
        limits = what["deploy"]["resources"]["limits"]
        return [
            f"--user={self._filled(what['user'])}",
            f"--network={self._name}",
            *(f"--network-alias={alias}" for alias in aliases),
            *(f"--cap-drop={each}" for each in what["cap_drop"]),
            *(f"--security-opt={each.removesuffix(':true')}" for each in what["security_opt"]),
            *(["--read-only", "--read-only-tmpfs=false"] if what["read_only"] else []),
            *(f"--tmpfs={each}" for each in what.get("tmpfs", ())),
            *(f"--volume={each}" for each in self._mounts(what)),
            f"--memory={limits['memory']}",
            f"--cpus={limits['cpus']}",
            *LIMITS,
        ]

    def _mounts(self, what: Mapping[str, Any]) -> list[str]:
        mounts = []
        for volume in what.get("volumes", ()):
            if isinstance(volume, str):
                mounts.append(f"{self._name}-{volume}")
            else:
                mode = "ro" if volume.get("read_only") else "rw"
                mounts.append(f"{self.folder / volume['source']}:{volume['target']}:{mode}")
        for kind in ("configs", "secrets"):
            for each in what.get(kind, ()):
                source, target = (each, f"/run/secrets/{each}") if isinstance(each, str) else each.values()
                mounts.append(f"{self.folder / self._whole[kind][source]['file']}:{target}:ro")
        return mounts

    def _filled(self, text: str) -> str:
        """Put variables in, as docker compose does."""
        return re.sub(
            r"\$\{(\w+):-([^}]*)\}", lambda found: self._variables.get(found[1], found[2]), str(text)
        )
