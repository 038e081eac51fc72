"""What a device could not say while it was offline: kept on disk, in order, within bounds, and said later.

A folder of numbered files with a line for each message. A file is removed when the broker has taken all of it, so
after a crash some are said twice, and none is lost but the last seconds before the power failed. When there is
too much, the oldest file goes first.
"""

import json
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

LOG: Final = logging.getLogger(__name__)
FILE_BYTES: Final = 65_536
SYNC_S: Final = 30.0
"""An SD card is asked to keep for good so often at most: every time wears it."""
_SUFFIX: Final = ".jsonl"


class Kept(NamedTuple):
    """A message kept: its word and payload, and since when by the machine's uptime."""

    word: str
    payload: dict[str, Any]
    boot: str
    up_ms: int


class Spool:
    """Keeps messages in a folder of its own. Trouble with the disk loses messages, counted, and stops nothing."""

    def __init__(self, folder: Path, most_bytes: int) -> None:
        """Find what was kept before; raise OSError when the folder cannot be made."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._most_bytes = most_bytes
        self._file: IO[str] | None = None
        self._path: Path | None = None
        self._bytes = 0
        self._synced_s = 0.0
        self._sizes = {path: path.stat().st_size for path in sorted(folder.glob(f"*{_SUFFIX}"))}
        self._next = 1 + max((int(path.stem) for path in self._sizes if path.stem.isdigit()), default=0)
        self.lost = 0
        """Files or messages that had to be given up."""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to say."""
        return not self._sizes

    def keep(self, kept: Kept) -> None:
        """Keep a message."""
        line = json.dumps(kept, separators=(",", ":")) + "\n"
        try:
            self._write(line)
        except OSError as error:
            if not self.lost:
                LOG.warning("what is not said is not kept either: %s", error)
            self.lost += 1
            self._end_file()

    def oldest(self) -> tuple[Path, list[Kept]] | None:
        """Return the oldest file and what it holds, to be handed to `done` when that has been said."""
        if not self._sizes:
            return None
        path = min(self._sizes)
        if path == self._path:
            self._end_file()
        return path, list(self._read(path))

    def done(self, path: Path) -> None:
        """Forget a file."""
        self._sizes.pop(path, None)
        path.unlink(missing_ok=True)

    def close(self) -> None:
        """Have everything on disk. Twice is safe."""
        self._end_file()

    def _write(self, line: str) -> None:
        file, path = self._file_for(len(line))
        file.write(line)
        file.flush()
        self._bytes += len(line)
        self._sizes[path] = self._bytes
        if time.monotonic() - self._synced_s > SYNC_S:
            os.fsync(file.fileno())
            self._synced_s = time.monotonic()
        while sum(self._sizes.values()) > self._most_bytes and len(self._sizes) > 1:
            self.lost += 1
            self.done(min(self._sizes))

    def _file_for(self, more_bytes: int) -> tuple[IO[str], Path]:
        """Return the file to write to, a new one when the present one is full."""
        if self._file is not None and self._path is not None and self._bytes + more_bytes <= FILE_BYTES:
            return self._file, self._path
        self._end_file()
        self._path = self._folder / f"{self._next:08d}{_SUFFIX}"
        self._next += 1
        self._file = self._path.open("w", encoding="utf-8")
        self._bytes = 0
        return self._file, self._path

    def _end_file(self) -> None:
        file, self._file, self._path = self._file, None, None
        if file is None:
            return
        try:
            os.fsync(file.fileno())
        except OSError as error:
            LOG.warning("the disk may not have kept all: %s", error)
        finally:
            file.close()

    def _read(self, path: Path) -> Iterator[Kept]:
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError as error:
            LOG.warning("%s cannot be read: %s", path, error)
            self.lost += 1
            return
        for line in lines:
            try:
                word, payload, boot, up_ms = json.loads(line)
                yield Kept(str(word), dict(payload), str(boot), int(up_ms))
            except (ValueError, TypeError):
                self.lost += 1  # cut off when the power failed
