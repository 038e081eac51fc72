"""Where the files are, and how they are read."""

from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).resolve().parents[2]
DOCKERFILE: Final = ROOT / "Dockerfile"
COMPOSE: Final = ROOT / "docker-compose.yml"
CHECKER: Final = ROOT / "build" / "compose-config"
"""What `.ci/run` builds from tools/compose-config."""
VALIDATOR: Final = ROOT / "build" / "kubernetes" / "bin" / "kubernetes-validate"
"""What `.ci/run` installs to judge Kubernetes objects."""


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    return found
