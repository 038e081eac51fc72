"""Builds the device of a file once, without a broker, to find what only building it shows."""

from gridfleet.devices.config.device_file import DeviceFile
from gridfleet.devices.edge.control_errors import explained, sample_of
from gridfleet.devices.edge.device_agent import build_agent, control_loop
from gridfleet.devices.edge.device_process import open_board


def build_once(file: DeviceFile) -> str:
    """Build the agent and, on mocked pins, the control loop, which makes a step; return what was built, in words.

    Real pins are left alone, and so is an agent on them. Raises AgentError, ControlError or HardwareError for what
    cannot be built.
    """
    if file.measured:
        return "not built: `gridfleet device run` opens the pins of the Raspberry Pi"
    board = open_board(file)
    if board is None:
        build_agent(file)
        return "its agent can be built"
    try:
        control = control_loop(file, board)
        build_agent(file, control)
        try:
            control.step()
            readings, faults = control.readings(), control.faults
            control.make_safe("checked")
        except Exception as error:
            raise explained(file, control, error) from error
        sample_of(file, control, readings, faults)
    finally:
        board.close()
    return "its agent and its control loop can be built, and it has made a step on mocked pins"
