"""Mistakes of control loops from other packages: each is one line that names device and place."""

from gridfleet.broker.errors import GridFleetError, PayloadError
from gridfleet.broker.protocol.codec import check
from gridfleet.broker.protocol.messages import Sample
from gridfleet.devices.config.device_file import DeviceFile
from gridfleet.devices.edge import real_time
from gridfleet.devices.edge.hardware.faults import ControlError
from gridfleet.devices.plugins import place_of


def explained(file: DeviceFile, control: object, failure: Exception) -> Exception:
    """Return what a control loop has raised: as it is, or of a loop from another package with device and place."""
    loop = type(control)
    if loop.__module__.partition(".")[0] == __name__.partition(".")[0]:
        return failure
    text = str(failure) if isinstance(failure, GridFleetError) else f"{type(failure).__name__}: {failure}"
    return ControlError(
        f"{file.id}, a {file.kind}: control loop: {text}{place_of(failure)}; correct {loop.__name__}"
    )


def sample_of(
    file: DeviceFile, control: object, readings: dict[str, float], faults: tuple[str, ...]
) -> Sample:
    """Return the sample of some readings; raise ControlError for one that receivers would refuse."""
    now = real_time.timestamp()
    sample = Sample(now.at_ms, now.synchronised, file.measured, readings, faults)
    try:
        check(sample)
    except PayloadError as error:
        raise ControlError(
            f"{file.id}, a {file.kind}: readings() or faults give an invalid {error}; correct {type(control).__name__}"
        ) from None
    return sample
