"""A bundle: a folder with the wheels of one version for one platform, and a manifest with their hashes."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from gridfleet.broker.readers.files import is_file
from gridfleet.broker.readers.json_values import checked_object, json_text, read_json
from gridfleet.broker.readers.read_error import ReadError
from gridfleet.provisioning.cli.exit_codes import CommandError

MANIFEST: Final = "bundle.json"
REQUIREMENTS: Final = "requirements.txt"
"""The same for pip: each wheel with its hash."""
_KEYS: Final = {"version": str, "machine": str, "python": str, "made_s": int, "wheels": dict}
_WHEEL: Final = re.compile(r"[A-Za-z0-9_.+!-]{1,200}\.whl")
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
            manifest = checked_object(read_json(path / MANIFEST), _KEYS, ReadError)
        except ReadError as error:
            if not is_file(path / MANIFEST):
                raise CommandError(
                    path, f"is not a bundle: it has no {MANIFEST}; make one with `gridfleet device bundle`"
                ) from None
            raise CommandError(path / MANIFEST, f"{error.problem}: {_REMEDY}") from None
        wheels = manifest["wheels"]
        if not all(isinstance(digest, str) and _WHEEL.fullmatch(name) for name, digest in wheels.items()):
            raise CommandError(path / MANIFEST, f"key 'wheels' has what is no wheel: {_REMEDY}")
        return cls(
            path, manifest["version"], manifest["machine"], manifest["python"], manifest["made_s"], wheels
        )

    @property
    def label(self) -> str:
        """Version and a hash of the content: the name of the version's folder on the device."""
        content = json_text([self.machine, self.python, sorted(self.wheels.items())])
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
        return (json_text(manifest, indent=1) + "\n").encode()

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
