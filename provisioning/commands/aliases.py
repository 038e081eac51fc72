"""Former names of commands: for one release they still work, and print the new name.

Units on flashed devices, compose files and scripts call them. The names are translated before the command line is
parsed, so help and shell completion do not show them.
"""

from collections.abc import Sequence
from typing import Final

FORMER: Final = {
    "scenarios": "scenario list",
    "check": "scenario show",
    "secrets": "site init",
    "broker": "site broker",
    "clock": "site clock",
    "fleet": "site fleet",
    "record": "site record",
    "recorder status": "site status",
    "recorder": "site status",
    "chaos": "site chaos",
    "dashboards push": "grafana push",
    "dashboards diff": "grafana diff",
    "dashboards annotate": "grafana annotate",
    "dashboards": "grafana",
    "compose": "deploy compose",
    "kubernetes": "deploy kubernetes",
    "flash": "device flash",
    "bundle": "device bundle",
    "upgrade": "device upgrade",
    "revoke": "device revoke",
    "doctor": "device doctor",
}
"""The new path of each former name; `secrets --rotate` is now `site rotate`."""
ROTATE: Final = "--rotate"
DEFAULT_SCENARIO: Final = "normal"
"""The scenario that `secrets` took its users from, unless another was named."""
_GROUPS_NOW: Final = {"broker": ("check", "-h", "--help")}
"""Former names that are groups now, with the words after which they mean the group."""
_ACTIONS: Final = {
    "recorder": ("status",),
    "dashboards": ("push", "diff", "annotate"),
    "influx": ("setup",),
    "device": ("run", "check", "safe"),
}
"""Former commands with their actions, which could follow the options."""


def translated(words: Sequence[str]) -> tuple[list[str], str]:
    """Return a command line in today's names, and a note with the new name; empty for a line that needs none.

    >>> translated(["secrets", "keys", "--rotate"])[0]
    ['site', 'rotate', 'keys', '--scenario', 'normal']
    >>> translated(["run", "normal"])
    (['run', 'normal'], '')
    """
    line = _with_action_first(list(words))
    if not line or (len(line) > 1 and line[1] in _GROUPS_NOW.get(line[0], ())):
        return line, ""
    length = 2 if " ".join(line[:2]) in FORMER else 1
    former = " ".join(line[:length])
    if former not in FORMER:
        return line, ""
    new, rest = FORMER[former], line[length:]
    if former == "secrets":
        if ROTATE in rest:
            former, new = f"{former} {ROTATE}", "site rotate"
            rest.remove(ROTATE)
        if not any(word.split("=")[0] == "--scenario" for word in rest):
            rest += ["--scenario", DEFAULT_SCENARIO]
    note = f"`gridfleet {former}` is now `gridfleet {new}`; the next release removes the former name"
    return [*new.split(), *rest], note


def _with_action_first(line: list[str]) -> list[str]:
    """Return a command line with the action of a former command directly after its name."""
    if len(line) < 2 or line[0] not in _ACTIONS or not line[1].startswith("-"):
        return line
    found = next((number for number, word in enumerate(line) if word in _ACTIONS[line[0]]), None)
    return line if found is None else [line[0], line[found], *line[1:found], *line[found + 1 :]]
