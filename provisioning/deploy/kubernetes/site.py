"""What the Kubernetes objects of a site are made from: images, sizes, and the files that the pods read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

TOKEN: Final = "influxdb-token"  # noqa: S105 - the name of a file
"""The file with the recorder's InfluxDB token, beside its password."""


@dataclass(frozen=True, slots=True)
class KubernetesSite:
    """A site as `gridfleet deploy kubernetes` deploys it."""

    namespace: str
    image: str
    parts: int
    """Number of pods that the fleet is divided into."""
    nodes: int
    """Number of EMQX nodes; 0 for one Mosquitto."""
    seconds_per_tick: float
    scenario: Mapping[str, bytes]
    """Content of the scenario's files by name."""
    authority: bytes
    """Certificate of the site's certificate authority."""
    broker: Mapping[str, bytes]
    """Content of the broker's files by name; some are secret."""
    clock: Mapping[str, bytes]
    devices: Mapping[str, bytes]
    recorder: Mapping[str, bytes]
    """Passwords of clock, devices and recorder by file name; the recorder also has the InfluxDB token, if any."""
    part_files: Mapping[int, Sequence[str]]
    """The names of the files in `devices` that each part of the fleet needs, by its number from 1."""
    influx: str = ""
    """URL of an InfluxDB 2 server; empty without one."""
