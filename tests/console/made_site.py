"""A site made of messages that a test publishes: every situation of the live page, without a fleet."""

import json
from types import TracebackType
from typing import Any, Final, Self

from pydantic import TypeAdapter

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.protocol.codec import SCHEMA, encode
from gridfleet.broker.protocol.messages import (
    AnyState,
    Facts,
    Message,
    Mode,
    Phase,
    Presence,
    Role,
    Settings,
    State,
    Tick,
)
from gridfleet.broker.protocol.topics import MESSAGE_TYPES, topic
from gridfleet.broker.protocol.units import TICK_MS
from tests.waiting import PATIENCE_S

SITE: Final = "town"
DEVICES: Final = {
    "turbine-1": (Role.PRODUCER, "turbine"),
    "house-1": (Role.CONSUMER, "household"),
    "battery-1": (Role.STORAGE, "battery"),
    "charger-1": (Role.CHARGER, "charger"),
    "charger-2": (Role.CHARGER, "charger"),
    "vehicle-1": (Role.VEHICLE, "vehicle"),
    "reactor-1": (Role.GRID_SUPPLY, "reactor"),
}
_SELLER: Final = {"generated_wh": 0, "sold_wh": 0, "curtailed_wh": 0, "unsettled_wh": 0, "earned_neur": 0}
_BATTERY: Final = {"stored_wh": 50_000, "capacity_wh": 100_000, "charge_loss_wh": 0}
_BUYER: Final = {"demand_wh": 0, "bought_wh": 0, "paid_neur": 0}
_ACCOUNTS: Final[dict[Role, dict[str, Any]]] = {
    Role.PRODUCER: _SELLER,
    Role.GRID_SUPPLY: _SELLER,
    Role.CONSUMER: _BUYER,
    Role.STORAGE: {
        **(_BUYER | _BATTERY),
        "announced_wh": 0, "sold_wh": 0, "unsettled_wh": 0, "earned_neur": 0, "discharge_loss_wh": 0,
    },
    Role.CHARGER: {
        **(_BUYER | _BATTERY),
        "delivered_wh": 0, "discharge_loss_wh": 0, "earned_neur": 0, "ports": 4, "ports_reserved": 1,
    },
    Role.VEHICLE: {
        **_BATTERY,
        "model": "e-car", "consumption_wh_per_km": 160.0, "drawn_wh": 0, "driven_wh": 0, "paid_neur": 0,
        "speed_km_h": 0.0, "deadline_ms": 0, "next_stop": None, "destination": None, "charger": None,
    },
    Role.CLOCK: {
        "mode": "scaled", "paused": False, "seconds_per_tick": 30.0, "ticks": 20, "settings": {}, "revision": 0,
    },
}  # fmt: skip
_STATE: Final[TypeAdapter[State]] = TypeAdapter(AnyState)


class MadeSite:
    """Context manager: publishes the messages of a site with a device of each role to a broker."""

    def __init__(self, url: str, *, seconds_per_tick: float = 30.0, mode: Mode = Mode.SCALED) -> None:
        """`url` is the broker's; a tick is announced to take `seconds_per_tick`, however long the test takes."""
        self._loop = MqttLoop(BrokerAddress.parse(url), schema=SCHEMA)
        self.seconds_per_tick = seconds_per_tick
        self.mode = mode
        self.now = 3
        """The tick that runs."""

    def __enter__(self) -> Self:
        self._loop.__enter__()
        self._link = self._loop.open("made", on_message=lambda *_: None)
        self._loop.wait_online(PATIENCE_S)
        self.publish(
            "clock", Facts("Our town", 50.0, 52.0, 8.0, 12.0, 1, 2, 900_000, offer_rankings=("best",))
        )
        self.birth("clock", Role.CLOCK, "site", "clock")
        for device in DEVICES:
            self.known(device)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.__exit__(kind, error, trace)

    def publish(self, sender: str, message: Message, scope: str | None = None) -> None:
        """Publish a message as its sender does, and wait until the broker has it."""
        self._send(sender, message, scope)
        assert self._loop.run_until(lambda: self._link.all_acknowledged, PATIENCE_S)

    def _send(self, sender: str, message: Message, scope: str | None = None) -> None:
        kind = MESSAGE_TYPES[message.TYPE]
        where = getattr(message, "scope", "") if scope is None else scope
        payload = encode(message)
        self._link.publish(topic(SITE, message, where, sender), payload, qos=1, retain=kind.retain)

    def birth(
        self,
        device: str,
        role: Role,
        cell: str,
        kind: str,
        *,
        online: bool = True,
        place: tuple[float, float] = (51.0, 9.0),
    ) -> None:
        """Publish a device's birth message or last will."""
        self.publish(device, Presence(online, role, cell, *place, kind=kind))

    def known(self, device: str, *, online: bool = True) -> None:
        """Publish the birth message or last will of a device of DEVICES; each has a place of its own."""
        role, kind = DEVICES[device]
        at = list(DEVICES).index(device)
        place = (50.3 + 0.2 * at, 8.4 + 0.5 * at)
        self.birth(device, role, "cell-1-1", kind, online=online, place=place)

    def tick(self, number: int, phase: Phase = Phase.BID, **changes: Any) -> None:  # noqa: ANN401 - any field of Tick
        """Publish a phase of a tick; `changes` are fields of the message."""
        start = number * TICK_MS
        fields: dict[str, Any] = {
            "paused": False,
            "settings": Settings(),
            "ticks_left": 20 - number - 1,
        } | changes
        self.publish(
            "clock",
            Tick(number, phase, start, start + TICK_MS // 4, self.mode, self.seconds_per_tick, **fields),
        )

    def advance(self, **changes: Any) -> None:  # noqa: ANN401 - any field of Tick
        """All devices report the tick that runs, and the next one begins."""
        self.accounts(self.now)
        self.now += 1
        self.tick(self.now, **changes)

    def account(self, device: str, tick: int, **changes: Any) -> None:  # noqa: ANN401 - any field
        """Publish a device's account of a tick; `changes` are fields of it."""
        self.publish(device, self._account(device, tick, **changes))

    def _account(self, device: str, tick: int, *, kind: str = "", **changes: Any) -> State:  # noqa: ANN401 - any field
        role, its_kind = DEVICES.get(device, (Role.CLOCK, "clock"))
        at = list(DEVICES).index(device) if device in DEVICES else 0
        fields: dict[str, Any] = {
            "tick": tick,
            "latitude": 50.3 + 0.2 * at,
            "longitude": 8.4 + 0.5 * at,
            "measured": False,
            "status": "running",
            "power_w": 0,
            "balance_neur": 0,
            "refused": {},
            "kind": kind or its_kind,
            "figures": {},
            "avoids": [],
            "role": str(role),
            **_ACCOUNTS[role],
        }
        return _STATE.validate_json(json.dumps(fields | changes))

    def accounts(self, tick: int, **changes: dict[str, Any]) -> None:
        """Publish the accounts of all devices; `changes` are by device, with `_` for `-`."""
        for device in DEVICES:
            self._send(device, self._account(device, tick, **changes.get(device.replace("-", "_"), {})))
        assert self._loop.run_until(lambda: self._link.all_acknowledged, PATIENCE_S)
