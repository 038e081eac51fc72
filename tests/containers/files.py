"""Paths of the files under test, and the content of docker-compose.yml."""

from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).resolve().parents[2]
DOCKERFILE: Final = ROOT / "Dockerfile"
COMPOSE: Final = ROOT / "docker-compose.yml"
CHECKER: Final = ROOT / "build" / "compose-config"
"""Docker Compose's own loader, which `make checkers` builds from tools/compose-config."""
VALIDATOR: Final = ROOT / "build" / "kubernetes" / "bin" / "kubernetes-validate"
"""Validator of Kubernetes objects, which `make checkers` installs."""


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    return found
