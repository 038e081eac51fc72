"""A bundle: a folder with the wheels of one version for one platform, and a manifest with their hashes."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from gridfleet.provisioning.cli.exit_codes import CommandError

MANIFEST: Final = "bundle.json"
REQUIREMENTS: Final = "requirements.txt"
"""The same for pip: each wheel with its hash."""
_REMEDY: Final = "copy the bundle again, or make a new one with `gridfleet device bundle`"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A folder of wheels, as its manifest describes it."""

    path: Path
    version: str
    machine: str
    """Output of `uname -m` there: aarch64, armv7l or x86_64."""
    python: str
    """Python version there, such as 3.13."""
    made_s: int
    """When it was made, in seconds since 1970."""
    wheels: dict[str, str]
    """SHA-256 of each wheel by file name."""

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a bundle's manifest; raise CommandError where it is missing or not a manifest."""
        try:
            manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
            return cls(
                path,
                str(manifest["version"]),
                str(manifest["machine"]),
                str(manifest["python"]),
                int(manifest["made_s"]),
                {str(name): str(digest) for name, digest in manifest["wheels"].items()},
            )
        except FileNotFoundError:
            raise CommandError(
                path, f"is not a bundle: it has no {MANIFEST}; make one with `gridfleet device bundle`"
            ) from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CommandError(path / MANIFEST, f"cannot be read ({error}): {_REMEDY}") from None

    @property
    def label(self) -> str:
        """Version and a hash of the content: the name of the version's folder on the device."""
        content = json.dumps([self.machine, self.python, sorted(self.wheels.items())])
        return f"{self.version}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"

    def to_json(self) -> bytes:
        """Return the manifest as bytes."""
        manifest: dict[str, Any] = {
            "version": self.version,
            "machine": self.machine,
            "python": self.python,
            "made_s": self.made_s,
            "wheels": dict(sorted(self.wheels.items())),
        }
        return (json.dumps(manifest, indent=1) + "\n").encode()

    def requirements(self) -> bytes:
        r"""Return the requirements file for pip, with hashes.

        >>> Bundle(Path("b"), "0.1.0", "aarch64", "3.13", 0, {"x-1-py3-none-any.whl": "00ff"}).requirements()
        b'./x-1-py3-none-any.whl --hash=sha256:00ff\n'
        """
        lines = (f"./{name} --hash=sha256:{digest}\n" for name, digest in sorted(self.wheels.items()))
        return "".join(lines).encode()

    def verify(self) -> None:
        """Raise CommandError unless every wheel exists and has the hash in the manifest."""
        for name, digest in self.wheels.items():
            wheel = self.path / name
            if not wheel.is_file():
                raise CommandError(wheel, f"is missing: {_REMEDY}")
            if sha256_of(wheel) != digest:
                raise CommandError(wheel, f"is damaged: {_REMEDY}")
        if (self.path / REQUIREMENTS).read_bytes() != self.requirements():
            raise CommandError(self.path / REQUIREMENTS, f"does not match {MANIFEST}: {_REMEDY}")

    def verify_machine(self, machine: str, python: str) -> None:
        """Raise CommandError where the bundle is for another machine or Python than given."""
        # On a 32-bit system with a 64-bit kernel `uname -m` prints aarch64.
        fits = machine == self.machine or {machine, self.machine} == {"aarch64", "armv7l"}
        if not fits or python != self.python:
            raise CommandError(
                self.path,
                f"is for {self.machine} and Python {self.python}, but this is {machine} with Python {python}:"
                f" make one with `gridfleet device bundle DIR --machine {machine} --python {python}`",
            )


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
