"""Names by which pages, alert rules and the client find each other on a Grafana server."""

from pathlib import Path
from typing import Final

FILES: Final = Path(__file__).parent / "files"
"""The generated files that Grafana reads."""
FOLDER_UID: Final = "gridfleet"
FOLDER: Final = "GridFleet"
DATASOURCE_UID: Final = "gridfleet-influxdb"
