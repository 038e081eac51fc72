"""A scenario as files that work anywhere: what was changed is written in, and weather files come along."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gridfleet.broker.errors import error_reason
from gridfleet.provisioning.cli.exit_codes import CommandError
from gridfleet.provisioning.runs.toml_text import toml_text

if TYPE_CHECKING:
    from gridfleet.devices.config.scenario import Scenario

NAME: Final = "scenario.toml"


def scenario_bundle(scenario: "Scenario") -> dict[str, bytes]:
    """Return the files of a scenario by name, `scenario.toml` first; raise CommandError for what cannot be read."""
    weather = scenario.weather
    document: dict[str, Any] = scenario.model_dump(exclude={"folder"}, exclude_none=True)
    files: dict[str, bytes] = {NAME: b""}

    def taken_along(name: str) -> str:
        path = Path(scenario.folder) / name
        if path.name in files:
            raise CommandError(path, "two files of one name cannot lie beside each other: rename one")
        try:
            files[path.name] = path.read_bytes()
        except OSError as error:
            raise CommandError(path, f"cannot be read ({error_reason(error)})") from None
        return path.name

    if weather.files:
        document["weather"]["files"] = [taken_along(name) for name in weather.files]
    if weather.station_list:
        document["weather"]["station_list"] = taken_along(weather.station_list)
    files[NAME] = toml_text(document).encode()
    return files
