"""A bundle: wheels of one version for one kind of machine, with a list of what must be there, to the byte."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from gridfleet.provisioning.cli.exit_codes import CommandError

LIST: Final = "bundle.json"
REQUIREMENTS: Final = "requirements.txt"
"""What pip installs, each wheel with its hash."""
_REMEDY: Final = "copy the bundle again, or make it anew with `gridfleet bundle`"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A folder of wheels and what its list says of them."""

    path: Path
    version: str
    machine: str
    """As `uname -m` says: aarch64, armv7l, x86_64."""
    python: str
    """Version of the Python it is for, such as 3.13."""
    made_s: int
    """When it was made, in seconds of Unix time."""
    wheels: dict[str, str]
    """File name and SHA-256 of each wheel."""

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a bundle's list; raise CommandError where there is none, or one that nothing of ours wrote."""
        try:
            said = json.loads((path / LIST).read_text(encoding="utf-8"))
            return cls(
                path,
                str(said["version"]),
                str(said["machine"]),
                str(said["python"]),
                int(said["made_s"]),
                {str(name): str(digest) for name, digest in said["wheels"].items()},
            )
        except FileNotFoundError:
            raise CommandError(path, f"is no bundle: it has no {LIST}; make one: gridfleet bundle") from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CommandError(path / LIST, f"cannot be read ({error}): {_REMEDY}") from None

    @property
    def label(self) -> str:
        """The version, and what tells two bundles of one version apart: the name of its folder on the device."""
        told = json.dumps([self.machine, self.python, sorted(self.wheels.items())])
        return f"{self.version}-{hashlib.sha256(told.encode()).hexdigest()[:8]}"

    def to_json(self) -> bytes:
        """Return the list as it stands in the file."""
        said: dict[str, Any] = {
            "version": self.version,
            "machine": self.machine,
            "python": self.python,
            "made_s": self.made_s,
            "wheels": dict(sorted(self.wheels.items())),
        }
        return (json.dumps(said, indent=1) + "\n").encode()

    def requirements(self) -> bytes:
        """Return the same for pip."""
        lines = (f"./{name} --hash=sha256:{digest}\n" for name, digest in sorted(self.wheels.items()))
        return "".join(lines).encode()

    def verify(self) -> None:
        """Raise CommandError unless every wheel is there and is what it was when the bundle was made."""
        for name, digest in self.wheels.items():
            wheel = self.path / name
            if not wheel.is_file():
                raise CommandError(wheel, f"is missing: {_REMEDY}")
            if digest_of(wheel) != digest:
                raise CommandError(wheel, f"is damaged: {_REMEDY}")
        if (self.path / REQUIREMENTS).read_bytes() != self.requirements():
            raise CommandError(self.path / REQUIREMENTS, f"does not fit {LIST}: {_REMEDY}")

    def verify_machine(self, machine: str, python: str) -> None:
        """Raise CommandError when it is for another kind of machine or Python than this one."""
        # A 64-bit kernel may carry a 32-bit system: then `uname -m` says aarch64 all the same.
        fits = machine == self.machine or {machine, self.machine} == {"aarch64", "armv7l"}
        if not fits or python != self.python:
            raise CommandError(
                self.path,
                f"is for {self.machine} and Python {self.python}, but this is {machine} with Python {python}:"
                f" gridfleet bundle --machine {machine} --python {python}",
            )


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
