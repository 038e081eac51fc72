"""The hostile client of the benchmark `hostile-payloads`: one process with the credentials of one device, or none.

    python -m benchmarks.hostile_sender OPTIONS.json

It is a plain paho client that takes part in lock-step as a vehicle that wants nothing: its birth is the only message
that others believe, and the clock waits for its `ready`. So all receivers get hostile messages in each tick.
It prints a line once its birth is published, and at the end what it published, as JSON.
"""

import json
import ssl
import sys
import threading
import time
from collections import Counter
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from typing import Final, NamedTuple

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from benchmarks.hostile_messages import HostileMessages
from benchmarks.hostile_town import LIAR, SITE, birth, examples, roles
from gridfleet.broker.errors import PayloadError
from gridfleet.broker.protocol.codec import SCHEMA, decode, encode
from gridfleet.broker.protocol.messages import Phase, Ready, Tick
from gridfleet.broker.protocol.topics import topic

MAX_UNSENT: Final = 400
"""The most messages that are not written or not acknowledged."""
PATIENCE_S: Final = 300.0
"""How long it waits for the next tick, in seconds."""


class Options(NamedTuple):
    """What is published, and where."""

    host: str
    port: int
    authority: str
    """The path of the CA certificate of the broker's own; empty for a broker without TLS and rights."""
    password: str
    messages: int
    per_tick: int
    seed: int


class Sent(NamedTuple):
    """What became of it."""

    messages: int
    payload_bytes: int
    connections: int
    seconds: float
    makings: dict[str, int]
    """How many publications were made in each way."""


class HostileClient:
    """Publishes hostile messages, so many in each tick."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._unsent = threading.Semaphore(MAX_UNSENT)
        secure = bool(options.authority)
        source = HostileMessages(
            SITE, examples(), roles(secure=secure), options.seed, LIAR if secure else None
        )
        self._source = islice(source, options.messages)
        self._client = client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=LIAR, protocol=MQTTProtocolVersion.MQTTv5
        )
        client.max_inflight_messages_set(MAX_UNSENT)
        if secure:
            client.username_pw_set(LIAR, options.password)
            client.tls_set_context(ssl.create_default_context(cafile=options.authority))
        client.on_connect = self._on_connect
        client.on_message = self._on_message
        client.on_publish = lambda *_: self._unsent.release()
        self._ticks: SimpleQueue[tuple[int, bool]] = SimpleQueue()
        """Ticks, each with whether it is the last one."""
        self._tick = -1
        self._makings: Counter[str] = Counter()
        self._bytes = 0
        self.connections = 0

    def _on_connect(self, client: paho.Client, *_: object) -> None:
        self.connections += 1
        client.subscribe(f"gridfleet/{SITE}/tick/clock", qos=1)

    def _on_message(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        """Note that another tick begins; ignore what this client publishes as the clock."""
        if ("schema", SCHEMA) not in getattr(message.properties, "UserProperty", ()):
            return
        try:
            tick = decode(Tick.TYPE, message.payload)
        except PayloadError:
            return
        if isinstance(tick, Tick) and tick.tick > self._tick:
            self._tick = tick.tick
            self._ticks.put((tick.tick, tick.ticks_left == 0))

    def start(self) -> None:
        """Connect, and publish the birth."""
        self._client.connect(self._options.host, self._options.port)
        self._client.loop_start()
        self._publish(
            topic(SITE, birth(), birth().scope, LIAR), encode(birth()), 1, retain=True
        ).wait_for_publish(60)

    def run(self) -> Sent:
        """Publish everything, or as much as the run has ticks for; raise queue.Empty when the site stops."""
        begun_s = time.monotonic()
        is_last = False
        while not is_last:
            tick, is_last = self._ticks.get(timeout=PATIENCE_S)
            for each in islice(self._source, self._options.per_tick):
                self._publish(each.topic, each.payload, each.qos, retain=each.retain, schema=each.schema)
                self._makings[each.making] += 1
                self._bytes += len(each.payload)
            self._ready(tick)
        seconds = time.monotonic() - begun_s
        self._client.disconnect()
        self._client.loop_stop()
        return Sent(self._makings.total(), self._bytes, self.connections, seconds, dict(self._makings))

    def _ready(self, tick: int) -> None:
        ready = Ready(tick, Phase.SETTLE)
        self._publish(topic(SITE, ready, "", LIAR), encode(ready), 1)

    def _publish(
        self, name: str, payload: bytes, qos: int, *, retain: bool = False, schema: str = SCHEMA
    ) -> paho.MQTTMessageInfo:
        """Publish once there is room; raise TimeoutError when the broker takes nothing any more."""
        if not self._unsent.acquire(timeout=PATIENCE_S):
            raise TimeoutError(f"the broker has taken no message for {PATIENCE_S:g} s")
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if schema:
            properties.UserProperty = ("schema", schema)
        return self._client.publish(name, payload, qos, retain, properties)


def main(path: Path) -> None:
    """Run the client that a JSON file describes; print what became of it."""
    client = HostileClient(Options(**json.loads(path.read_text(encoding="utf-8"))))
    client.start()
    print("connected", flush=True)
    print(json.dumps(client.run()._asdict()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
