"""How a device logs: a line for people, or a JSON object for machines, on standard error."""

import json
import logging
import sys
from typing import Final

_LINE: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class _Json(logging.Formatter):
    """One object a line: time in UTC milliseconds, level, where from, words."""

    def __init__(self, device: str) -> None:
        super().__init__()
        self._device = device

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        said: dict[str, object] = {
            "at_ms": round(record.created * 1000),
            "level": record.levelname.lower(),
            "device": self._device,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            said["trace"] = self.formatException(record.exc_info)
        return json.dumps(said, ensure_ascii=False)


def log_to_stderr(device: str, *, as_json: bool) -> None:
    """Log from level INFO on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json(device) if as_json else logging.Formatter(_LINE))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
