"""Files that only their owner may read, written atomically, and checked when they are read again."""

import os
from pathlib import Path
from typing import TypeVar

from gridfleet.provisioning.cli.exit_codes import CommandError

_T = TypeVar("_T")


def read_checked(path: Path, kind: type[_T], remedy: str) -> _T:
    """Return the value of a JSON file, of a type that pydantic checks.

    Raises OSError where it cannot be read, CommandError with the `remedy` for a file that holds no such value.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(kind).validate_json(path.read_bytes())
    except ValidationError as error:
        keys = ", ".join(".".join(map(str, each["loc"])) or "the JSON text" for each in error.errors()[:3])
        raise CommandError(path, f"is damaged at {keys}: {remedy}") from None


def write_secret(path: Path, content: bytes) -> None:
    """Write a file with mode 0600 atomically."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    draft.replace(path)
