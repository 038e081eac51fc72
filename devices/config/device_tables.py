"""The tables of a device file that do not concern pins: each key with its unit, its limits and its default."""

from typing import Annotated

from pydantic import Field

from gridfleet.devices.config.shared_tables import Table

Number = Annotated[float, Field(allow_inf_nan=False)]


class BrokerTable(Table):
    """The broker's address, and how the device logs in."""

    url: str
    """mqtt://host:1883, or mqtts://host:8883 with TLS."""
    credentials: str = ""
    """The folder with ca.crt and clients/<id>.password, made by `gridfleet device enrol`; relative to the file."""
    certificate: bool = False
    """Whether to log in with a certificate as well, which a broker with mutual TLS requires."""
    keepalive_s: Annotated[int, Field(ge=30, le=3600)] = 60
    """MQTT keep-alive: a lost connection is detected within twice this time."""


class ControlTable(Table):
    """The control loop: how often it reads the sensors and decides about the switches."""

    period_s: Annotated[float, Field(ge=0.01, le=0.08)] = 0.05
    """With a converter, each step takes one cycle of the mains longer."""


class TelemetryTable(Table):
    """Samples of the sensors: how often, and how many are queued while the device is offline."""

    every_s: Annotated[float, Field(ge=0.1, le=3600)] = 10.0
    """Time between two samples."""
    folder: str = ""
    """The queue's folder, relative to the file. Without it: in systemd's state directory, else in memory."""
    max_mb: Annotated[float, Field(ge=0.01, le=1000)] = 8.0
    """Size of the queue; when it is full, the oldest samples are dropped."""
