"""Check Flux queries with InfluxData's own compiler front end; `make checkers` installs it into build/flux."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

FRONT_END: Final = Path(__file__).resolve().parents[2] / "build" / "flux" / "node_modules"

needs_front_end = pytest.mark.skipif(
    not FRONT_END.is_dir(),
    reason="Flux's compiler front end is not installed: make checkers (needs npm)",
)
"""Use it together with the marker `node`."""


def problems(texts: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the errors of each query by its name: parse errors, unknown names, wrong types."""
    node = shutil.which("node") or "node"
    done = subprocess.run(
        [node, str(Path(__file__).with_name("check.mjs")), str(FRONT_END)],
        input=json.dumps(dict(texts)),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    verdict: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    assert verdict.keys() == texts.keys()
    return verdict


def wrong(texts: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the queries that have errors, with the errors."""
    return {name: found for name, found in problems(texts).items() if found}
