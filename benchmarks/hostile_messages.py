"""Hostile payloads: what a site's receivers must refuse, made from valid messages, the same for the same seed.

Every publication is wrong by its making: noise, broken JSON, a value of another type or beyond every bound, a key too
many or too few, a batch of others' messages, a topic that is none, a message that its sender may not publish, another
schema version. So a receiver that believes one of them is at fault.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, fields
from random import Random
from typing import Any, Final, NamedTuple

from gridfleet.broker.protocol.batch import pack
from gridfleet.broker.protocol.codec import MAX_PAYLOAD, SCHEMA, encode
from gridfleet.broker.protocol.messages import Message, Presence, State
from gridfleet.broker.protocol.topics import BATCH, MESSAGE_TYPES, ROOT, MessageType

OTHER_SCHEMA: Final = "999"
LARGE_SHARE: Final = 0.002
"""The share of payloads that are as large as the broker takes."""
RETAINED_SHARE: Final = 0.05
"""The share of retained publications under the sender's own topics."""
OFTEN: Final = 0.7
"""The share of publications under the topics of the sender's own message types, where it has some."""
_WORDS: Final = (
    "__proto__",
    "constructor",
    "toString",
    "length",
    "tick",
    "role",
    "\x00",
    "",
    "🔋",
    "a" * 200,
)
_LEVELS: Final = ("__proto__", "", " ", "..", "-", "ü", "x" * 49, "a" * 2_000, "$SYS", "%s%n", "a b")
"""What no level of a topic may be; control characters and wildcards are not among them, because Mosquitto ends the
connection of a client that publishes under such a topic."""
_NUMBERS: Final[tuple[Any, ...]] = (True, "1", None, [], {}, [[]], {"a": {}}, "NaN", "9" * 400, "0x10")
_TEXTS: Final[tuple[Any, ...]] = (0, True, [], {}, "x" * 1_000, ["a"], {"a": 1})
_TRUTHS: Final[tuple[Any, ...]] = ("true", 2, [], {}, "", 0.5)
_LISTS: Final[tuple[Any, ...]] = (0, "x", {}, True, [[[]]] * 300, [{}] * 1_000, [True])
_OBJECTS: Final[tuple[Any, ...]] = (
    0,
    "x",
    [],
    True,
    {"": {}},
    {"a": {"a": {}}},
    {str(n): [] for n in range(300)},
)
_NOTHINGS: Final[tuple[Any, ...]] = ([[]], {}, {"a": 1}, [None])
_RAW: Final = (
    "NaN",
    "Infinity",
    "-Infinity",
    "1e999",
    "-1e999",
    "9" * 5_000,
    "tru",
    "1.",
    "01",
    '"\\ud800"',
    '"\x01"',
)
"""Tokens that no JSON document may have, and numbers beyond every bound."""


class Example(NamedTuple):
    """A valid message of a site, with scope and sender."""

    scope: str
    sender: str
    message: Message

    @property
    def message_type(self) -> MessageType:
        """Its line in the topic table."""
        return MESSAGE_TYPES[self.message.TYPE]

    @property
    def payload(self) -> bytes:
        """Its payload."""
        return encode(self.message)

    def topic(self, site: str) -> str:
        """Return its topic."""
        return "/".join([*filter(None, (ROOT, site, self.message.TYPE, self.scope)), self.sender])


class Hostile(NamedTuple):
    """A publication that every receiver must refuse."""

    making: str
    """How it was made."""
    topic: str
    payload: bytes
    qos: int
    retain: bool = False
    schema: str = SCHEMA
    """The schema version that its properties state; empty for none."""


class HostileMessages:
    """Makes hostile publications without end; iterate over it.

    `examples` are valid messages of a site, of every message type; `roles` the roles of its devices by their ids. With
    `own`, the sender is that device, and most publications are under its own topics; without, it is anybody.
    """

    def __init__(
        self,
        site: str,
        examples: Sequence[Example],
        roles: Mapping[str, str],
        seed: int,
        own: str | None = None,
    ) -> None:
        self._site = site
        self._random = Random(seed)
        self._roles = dict(roles)
        self._own = own
        self._examples = list(examples)
        role = None if own is None else roles[own]
        self._own_examples = [
            each._replace(sender=own)
            for each in examples
            if own is not None and roles.get(each.sender) == role
        ]
        self._makings: dict[str, Callable[[Example], Hostile]] = {
            "noise": self._noise,
            "broken JSON": self._broken,
            "wrong value": self._wrong_value,
            "raw token": self._raw_token,
            "wrong keys": self._wrong_keys,
            "deep": self._deep,
            "large": self._large,
            "wrong topic": self._wrong_topic,
            "wrong sender": self._wrong_sender,
            "batch": self._batch,
            "other schema": self._other_schema,
        }

    @property
    def makings(self) -> tuple[str, ...]:
        """The names of the ways in which publications are made."""
        return tuple(self._makings)

    def __iter__(self) -> Iterator[Hostile]:
        """Yield publications, each way as often as the others but for large ones."""
        random, makings = self._random, [name for name in self._makings if name != "large"]
        while True:
            making = "large" if random.random() < LARGE_SHARE else random.choice(makings)
            yield self._makings[making](self._example())

    # --- examples ----------------------------------------------------------------------------------------

    def _example(self) -> Example:
        """Return an example, of the sender's own most of the time."""
        own = self._own_examples and self._random.random() < OFTEN
        return self._random.choice(self._own_examples if own else self._examples)

    def _publish(self, making: str, example: Example, payload: bytes, *, topic: str | None = None) -> Hostile:
        name = example.topic(self._site) if topic is None else topic
        own = self._own is not None and name.endswith(f"/{self._own}")
        retain = own and self._random.random() < RETAINED_SHARE
        schema = SCHEMA if self._random.random() < 0.9 else ""
        return Hostile(making, name, payload, self._random.choice((0, 1, 1)), retain, schema)

    # --- ways --------------------------------------------------------------------------------------------

    def _noise(self, example: Example) -> Hostile:
        size = int(2 ** self._random.uniform(0, 11))
        return self._publish("noise", example, b"\xff" + self._random.randbytes(size))

    def _broken(self, example: Example) -> Hostile:
        random, payload = self._random, example.payload
        cut = random.randrange(len(payload))
        return self._publish(
            "broken JSON",
            example,
            random.choice(
                (
                    payload[:cut],
                    payload + payload,
                    payload + b"]",
                    b"\xef\xbb\xbf\xef" + payload,
                    payload[:cut] + b"\x00" + payload[cut:-1],
                    payload.replace(b'"', b"'"),
                    payload.replace(b":", b"=", 1),
                    b"[" + payload + b"]",
                    json.dumps(payload.decode()).encode(),
                    b"",
                )
            ),
        )

    def _wrong_value(self, example: Example) -> Hostile:
        """Another type, or a value beyond the bounds, somewhere in the message."""
        found = json.loads(example.payload)
        holder, key = self._place(found)
        holder[key] = self._random.choice(_wrong_for(holder[key]))
        return self._publish("wrong value", example, json.dumps(found).encode())

    def _raw_token(self, example: Example) -> Hostile:
        found = json.loads(example.payload)
        holder, key = self._place(found)
        holder[key] = "@@@"
        token = self._random.choice(_RAW)
        return self._publish("raw token", example, json.dumps(found).replace('"@@@"', token).encode())

    def _wrong_keys(self, example: Example) -> Hostile:
        """A key too many or too few."""
        found, random = json.loads(example.payload), self._random
        if random.random() < 0.5:
            del found[
                random.choice([each.name for each in fields(example.message) if each.default is MISSING])
            ]
        else:
            found["x" + random.choice(_WORDS)] = random.choice(_OBJECTS)
            if random.random() < 0.5:
                found["__proto__"] = {"online": True, "role": "clock"}
        return self._publish("wrong keys", example, json.dumps(found, ensure_ascii=False).encode())

    def _deep(self, example: Example) -> Hostile:
        opening, closing = self._random.choice(((b"[", b"]"), (b'{"a":', b"}")))
        depth = int(2 ** self._random.uniform(1, 10))
        middle = opening * depth + b"1" + closing * self._random.choice((depth, depth - 1, 0))
        payload = self._random.choice((middle, example.payload[:-1] + b',"x":' + middle + b"}"))
        return self._publish("deep", example, payload)

    def _large(self, example: Example) -> Hostile:
        """As large as the broker takes, and full of mistakes."""
        room = MAX_PAYLOAD - 200
        parts = self._random.choice(
            (
                (b"[", b"{},", b"{}]"),
                (b'{"packages":[', b"{},", b'{}],"tick":0}'),
                (b'{"lots":[', b"1,", b"1]}"),
                (b'{"refused":{', b'"a":-1,', b'"b":1},"role":"charger"}'),
                (b'{"', b"x", b'":1}'),
                (b"", b"[", b""),
                (b'{"tick":', b"9", b"}"),
            )
        )
        begin, again, end = parts
        return self._publish("large", example, begin + again * (room // len(again)) + end)

    def _wrong_topic(self, example: Example) -> Hostile:
        """A valid payload under a topic that is none of the site's message types."""
        random, name = self._random, example.topic(self._site)
        levels = name.split("/")
        match random.randrange(5):
            case 0:
                levels[2] = random.choice((*_LEVELS, "state2", "TICK", BATCH, "home"))
            case 1:
                levels[-1] = random.choice(_LEVELS)
            case 2:
                levels.insert(random.randrange(3, len(levels) + 1), random.choice((*_LEVELS, "x")))
                levels.append("y")
            case 3:
                del levels[-1]
                levels = [*levels[:2], *([] if random.random() < 0.5 else levels[2:3])]
            case _:
                levels = [*levels[:3], *["a"] * 150]
        return self._publish("wrong topic", example, example.payload, topic="/".join(levels) or "/")

    def _wrong_sender(self, example: Example) -> Hostile:
        """A valid message under the name of somebody who may not publish it."""
        random, roles = self._random, self._roles
        if isinstance(example.message, Presence):
            example = random.choice([each for each in self._examples if isinstance(each.message, State)])
        message = example.message
        forgers = [
            name
            for name, role in roles.items()
            if role not in example.message_type.senders
            or (isinstance(message, State) and role != message.scope)
        ]
        forger = self._own if self._own in forgers and random.random() < OFTEN else random.choice(forgers)
        return self._publish("wrong sender", example._replace(sender=forger), example.payload)

    def _batch(self, example: Example) -> Hostile:
        """A batch of messages for devices whose birth does not name its sender, or a malformed one."""
        random = self._random
        name, sender = example.message_type.name, self._own or random.choice(list(self._roles))
        rest = "/".join(filter(None, (example.scope, example.sender)))
        room = (MAX_PAYLOAD - 10) // (len(rest) + len(example.payload) + 2)
        payload = pack([(rest, example.payload)] * min(random.choice((1, 2, 40)), room))
        payload = random.choice(
            (
                payload,
                payload[1:],
                payload.replace(b" ", b""),
                b"1\n" + b"\n" * 600,
                b"1\n\xff \xff",
                b"2" + payload[1:],
                payload + b"\n" + random.randbytes(40),
                b"1\n" + pack([(rest, example.payload)]),
            )
        )
        cell = example.scope if len(example.message_type.scope.levels) == 1 else random.choice(("site", "x"))
        topic = f"{ROOT}/{self._site}/{BATCH}/{name}/{cell or 'site'}/{sender}"
        return self._publish("batch", example, payload, topic=topic)

    def _other_schema(self, example: Example) -> Hostile:
        """A message of another schema version, which says nothing to receivers of this one."""
        payload = self._random.choice((example.payload, b"{}", b"\x00"))
        return self._publish("other schema", example, payload)._replace(schema=OTHER_SCHEMA)

    def _place(self, found: Any) -> tuple[Any, Any]:  # noqa: ANN401 - any JSON
        """Return a container within a message, and a key or index of it, whose value only its own type may have."""
        places = [
            (holder, key)
            for holder, key, path in _places(found, ())
            if not _OPEN.intersection({path, path[:1]})
        ]
        return self._random.choice(places)


_OPEN: Final = frozenset({("value",), ("refused",), ("figures",), ("readings",)})
"""Fields in which more than one type, or any key, is allowed: their insides are left as they are."""


def _places(found: Any, path: tuple[str, ...]) -> Iterator[tuple[Any, Any, tuple[str, ...]]]:  # noqa: ANN401
    """Yield every value in a document by its container, its key and its path."""
    pairs = found.items() if isinstance(found, dict) else enumerate(found) if isinstance(found, list) else ()
    for key, value in list(pairs):
        yield found, key, (*path, str(key))
        yield from _places(value, (*path, str(key)))


def _wrong_for(value: Any) -> Sequence[Any]:  # noqa: ANN401 - any JSON
    """Return values that cannot stand where this one stands."""
    if isinstance(value, bool):
        return _TRUTHS
    if isinstance(value, int):
        return (*_NUMBERS, 10**30, -(10**30), 0.5)
    if isinstance(value, float):
        return _NUMBERS
    if isinstance(value, str):
        return _TEXTS
    if isinstance(value, list):
        return _LISTS
    return _NOTHINGS if value is None else _OBJECTS
