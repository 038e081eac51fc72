"""The pages of docs/ that are generated, as a whole or in marked blocks, and the Flux of the downsampling tasks.

A block in a page begins with `<!-- generated: NAME -->` and ends with `<!-- end of NAME -->`.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from gridfleet.broker.asyncapi.document import text as asyncapi
from gridfleet.dashboards.telemetry.document import document as telemetry
from gridfleet.dashboards.telemetry.influx.downsampling import TASKS, file_name, flux_text
from gridfleet.provisioning.commands.document import document as commands
from gridfleet.provisioning.documents import keys, lies, messages, results

WHOLE: Final[Mapping[str, Callable[[], str]]] = {
    "docs/asyncapi.yaml": asyncapi,
    "docs/reference/commands.md": commands,
    "docs/reference/telemetry.md": telemetry,
    **{f"dashboards/telemetry/influx/flux/{file_name(task)}": partial(flux_text, task) for task in TASKS},
}
BLOCKS: Final[Mapping[str, Callable[[], str]]] = {
    "scenario keys": keys.scenario_keys,
    "battery keys": keys.battery_keys,
    "fault keys": keys.fault_keys,
    "device keys": keys.device_keys,
    "kind keys": keys.kind_keys,
    "topics": messages.topics,
    "messages": messages.messages,
    "key figures": results.key_figures,
    "indicators": results.indicators,
    "invariants": results.invariants,
    "lies": lies.lies,
}
WITH_BLOCKS: Final = (
    "docs/reference/scenario.md",
    "docs/reference/device-file.md",
    "docs/reference/messages.md",
    "docs/reference/output.md",
    "docs/indicators.md",
    "docs/how-to/studies/liars.md",
)
_BLOCK: Final = re.compile(
    r"(<!-- generated: (?P<name>[\w ]+) -->\n).*?(<!-- end of (?P=name) -->)", re.DOTALL
)


def pages(root: Path) -> Iterator[tuple[Path, str]]:
    """Yield each generated file of a checkout, with the text that it should have."""
    for name, make in WHOLE.items():
        yield root / name, make()
    for name in WITH_BLOCKS:
        page = root / name
        yield page, filled(page.read_text(encoding="utf-8"))


def filled(text: str) -> str:
    """Return a page with its marked blocks generated again."""
    return _BLOCK.sub(lambda block: f"{block[1]}{BLOCKS[block['name']]()}\n{block[3]}", text)
