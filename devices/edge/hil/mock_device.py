"""Mocked pins for a running device with `backend = "mock"`; its table [mock] sets what the sensors measure."""

import threading
from typing import Final

from gridfleet.devices.config.device_file import DeviceFile
from gridfleet.devices.edge.hardware.board import Board
from gridfleet.devices.edge.hil.mock_pi import MockBoard, MockPi, RealClock
from gridfleet.devices.edge.hil.plants import Plant

MAX_WAIT_S: Final = 0.05


class _PlantBoard(MockBoard):
    """A board whose plant runs in a thread until it is closed."""

    def __init__(self, pi: MockPi, plant: Plant) -> None:
        super().__init__(pi)
        self._plant = plant
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run_plant, name="plant", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop the plant, and release all pins."""
        self._stopping.set()
        self._thread.join()
        super().close()

    def _run_plant(self) -> None:
        pi, plant = self._pi, self._plant
        while not self._stopping.wait(max(min(plant.due_s - pi.now_s, MAX_WAIT_S), 0.001)):
            while plant.due_s <= pi.now_s:
                plant.act()


def mock_board(file: DeviceFile) -> Board:
    """Return mocked pins; without [mock] no vehicle is plugged in, and there is no wind."""
    pi = MockPi(RealClock())
    if file.adc is not None:
        pi.adc.reference_v = file.adc.reference_v
    plant = file.agent_type.make_plant(pi, file)
    return MockBoard(pi) if plant is None else _PlantBoard(pi, plant)
