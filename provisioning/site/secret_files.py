"""Files that only their owner may read, written all or nothing."""

import os
from pathlib import Path


def write_secret(path: Path, content: bytes) -> None:
    """Write a file that nobody else can read, all or nothing."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    draft.replace(path)
