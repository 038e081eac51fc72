"""Mocked pins for a running device: `backend = "mock"` and what [mock] says its sensors feel, in real time."""

import threading
from typing import Final

from gridfleet.devices.config.device_file import DeviceFile
from gridfleet.devices.edge.hardware.board import Board
from gridfleet.devices.edge.hil.mock_pi import MockBoard, MockPi, RealClock
from gridfleet.devices.edge.hil.plants import Charging, Wind

MOST_WAIT_S: Final = 0.05


class _MockBoard(MockBoard):
    """A board whose world goes on in a thread until it is closed."""

    def __init__(self, pi: MockPi, plant: Charging | Wind) -> None:
        super().__init__(pi)
        self._plant = plant
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._play, name="plant", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the world, and let go of all pins."""
        self._ending.set()
        self._thread.join()
        super().close()

    def _play(self) -> None:
        pi, plant = self._pi, self._plant
        while not self._ending.wait(max(min(plant.due_s - pi.now_s, MOST_WAIT_S), 0.001)):
            while plant.due_s <= pi.now_s:
                plant.act()


def mock_board(file: DeviceFile) -> Board:
    """Return mocked pins; without [mock] nothing is plugged in, and the air is still."""
    pi = MockPi(RealClock())
    said = file.mock
    if file.adc is not None:
        pi.adc.reference_v = file.adc.reference_v
    if file.kind == "turbine":
        wind = Wind(pi, file)
        wind.blow(said.wind_m_per_s if said is not None else 0.0)
        return _MockBoard(pi, wind)
    charging = Charging(pi, file)
    if said is not None:
        charging.draws_a = said.current_a
        if said.plugged:
            charging.plug_in()
    return _MockBoard(pi, charging)
