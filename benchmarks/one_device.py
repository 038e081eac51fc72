"""One device in its own process: python -m benchmarks.one_device PORT; ends after its first bid."""

import sys
from pathlib import Path

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.protocol.codec import SCHEMA
from gridfleet.broker.protocol.decoder import SiteDecoder
from gridfleet.devices.agents.charger import Charger
from gridfleet.devices.runtime.device_runner import DeviceRunner

STATUS = Path("/proc/self/status")


def main(port: int) -> None:
    """Connect to a broker with a retained tick, publish a bid, and print the peak memory in kB."""
    charger = Charger(
        "charger-1",
        "here",
        51.0,
        9.5,
        capacity_wh=300_000,
        stored_wh=0,
        ports=5,
        max_wh_per_tick=50_000,
        package_wh=10_000,
        floor_ueur_per_kwh=100_000,
        reactor=None,
        reactor_price_ueur_per_kwh=900_000,
    )
    with MqttLoop(BrokerAddress("127.0.0.1", port), schema=SCHEMA) as loop:
        runner = DeviceRunner(charger, loop, SiteDecoder("here"))
        loop.wait_online(10)
        runner.start()
        loop.run_until(lambda: charger.tick >= 0, 10)
    print(next(line.split()[1] for line in STATUS.read_text().splitlines() if line.startswith("VmHWM")))


if __name__ == "__main__":
    main(int(sys.argv[1]))
