"""Files that only their owner may read, written atomically."""

import os
from pathlib import Path


def write_secret(path: Path, content: bytes) -> None:
    """Write a file with mode 0600 atomically."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    draft.replace(path)
