"""Scenario bundle: a scenario with its changes and weather files, as files that can be copied to another machine."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import tomli_w

from gridfleet.broker.errors import error_reason
from gridfleet.provisioning.cli.exit_codes import CommandError

if TYPE_CHECKING:
    from gridfleet.devices.config.scenario import Scenario

NAME: Final = "scenario.toml"


def scenario_bundle(scenario: "Scenario") -> dict[str, bytes]:
    """Return the content of a scenario's files by name, `scenario.toml` first.

    Raises CommandError for a weather file that cannot be read, and for two of the same name.
    """
    weather = scenario.weather
    document: dict[str, Any] = scenario.model_dump(exclude={"folder"}, exclude_none=True)
    files: dict[str, bytes] = {NAME: b""}

    def add_file(name: str) -> str:
        path = Path(scenario.folder) / name
        if path.name in files:
            raise CommandError(
                path,
                "another weather file has the same name, and a bundle has one folder: rename one of them",
            )
        try:
            files[path.name] = path.read_bytes()
        except OSError as error:
            raise CommandError(
                path, f"cannot be read ({error_reason(error)}): correct its name in the scenario"
            ) from None
        return path.name

    if weather.files:
        document["weather"]["files"] = [add_file(name) for name in weather.files]
    if weather.station_list:
        document["weather"]["station_list"] = add_file(weather.station_list)
    files[NAME] = tomli_w.dumps(document).encode()
    return files
