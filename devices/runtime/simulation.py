"""The deterministic simulation: a virtual clock, an in-memory bus, faults on demand.

Messages are passed by reference and take no time unless a fault delays them; an instant is over when no message is left
to deliver. Instants follow each other in the order (time, id), so that neither hash seeds nor the order of arrival
matter. The clock runs in its real-time mode, and the simulation's time is its real time.
"""

import gc
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from heapq import heappop, heappush
from itertools import count
from typing import Final

from gridfleet.broker.protocol.codec import decode, encode
from gridfleet.broker.protocol.decoder import MessageReceiver
from gridfleet.broker.protocol.messages import Message, Mode, Phase, Role, Tick
from gridfleet.broker.protocol.topics import ALL, CLOCK_ID, RECORDER_ID, WHOLE_SITE
from gridfleet.broker.protocol.units import TICK_MS
from gridfleet.devices.agents.base import Agent, Out
from gridfleet.devices.clock.agent import Clock
from gridfleet.devices.config.scenario import Scenario
from gridfleet.devices.random_streams import RandomStream
from gridfleet.devices.runtime.fleet import Fleet
from gridfleet.devices.runtime.network_faults import Faults, FaultyNetwork
from gridfleet.devices.trust.liars.lying_devices import LyingDevice
from gridfleet.devices.trust.liars.rights import Rights
from gridfleet.devices.trust.register import Judge


class _Node:
    """An agent on the bus: when it is to be woken, and whether it is running."""

    __slots__ = ("agent", "deadline_ms", "due_ms", "event_ms", "partition_side", "rights", "skew_ms", "up")

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self.event_ms: int | None = None
        self.deadline_ms: int | None = None
        self.due_ms: int | None = None
        self.up = True
        self.skew_ms = 0
        self.partition_side = 0
        self.rights: Rights | None = None
        """What a liar may publish; None for an honest agent, which publishes nothing else."""


_Delivery = tuple[Sequence[_Node], _Node, str, Message]
"""Receivers, sender, scope, message."""
_AT_ONCE: Final = (0,)


class Simulation:
    """One run of a scenario; `run` may be called once."""

    def __init__(  # noqa: PLR0913 - everything that a run may choose
        self,
        scenario: Scenario,
        *,
        seed: int | None = None,
        ticks: int | None = None,
        faults: Faults | None = None,
        receivers: tuple[MessageReceiver, ...] = (),
        judge: Judge | None = None,
        encoded: bool = False,
        shuffle: int | None = None,
        liars: Sequence[LyingDevice] = (),
    ) -> None:
        """Prepare a run.

        `receivers` are called with every message. `judge` is asked once a phase for suspensions by the site's auditor,
        which every device learns at once, whatever the network's faults. With `encoded` every message is encoded and
        decoded.
        `shuffle` is a seed for the order in which messages of one instant arrive, which must not matter. `liars` are
        the devices that lie; raises LiarError for one that cannot. What its access rules forbid a liar
        to publish reaches nobody, as over a broker, and is counted as refused by it.
        """
        self.fleet = Fleet(scenario, seed, liars=liars)
        self.now_ms = scenario.start_ms
        self.clock: Clock = self.fleet.clock(Mode.REALTIME, ticks=ticks)
        self._receivers = receivers
        self._judge = judge
        self._encoded = encoded
        self._observed = encoded or bool(receivers)
        self._shuffle = RandomStream(shuffle, "shuffle") if shuffle is not None else None
        self._faults = faults if faults is not None and faults.any else None
        self._network = FaultyNetwork(self._faults, self.fleet.seed) if self._faults is not None else None
        self._cut_off = self._draw_cut_off()
        self._crashes = RandomStream(self.fleet.seed, "crashes")
        self._nodes: dict[str, _Node] = {}
        self._direct: dict[str, list[_Node]] = {}
        self._routes: dict[tuple[str, str], list[_Node]] = {}
        self._phases: dict[Phase, list[_Node]] = {phase: [] for phase in Phase}
        self._queue: deque[_Delivery] = deque()
        self._heap: list[tuple[int, str, int, object]] = []
        self._serial = count()
        for agent in (*self.fleet.agents(), self.clock):
            self._add_node(agent)

    def _draw_cut_off(self) -> frozenset[str]:
        """Draw the cells that a partition cuts off, or the devices where there is one cell."""
        share = self._faults.partition if self._faults is not None else 0.0
        if not share:
            return frozenset()
        cells = [cell.name for cell in self.fleet.cells]
        names = cells if len(cells) > 1 else self.fleet.ids
        drawn = sorted(names, key=lambda name: (RandomStream(self.fleet.seed, "side", name).bits(), name))
        return frozenset(drawn[: max(1, min(round(share * len(drawn)), len(drawn) - 1))])

    # --- the bus -----------------------------------------------------------------------------------------

    def _add_node(self, agent: Agent) -> None:
        node = _Node(agent)
        if agent.id in self.fleet.liars:
            node.rights = self._rights_of(agent)
        self._nodes[agent.id] = node
        self._direct[agent.id] = [node]
        for name, scope in agent.subscriptions():
            if scope != agent.id and ALL not in scope:
                self._routes.setdefault((name, scope), []).append(node)
        for phase in agent.phases:
            self._phases[phase].append(node)
        if self._faults is not None and agent.role is not Role.CLOCK:
            node.partition_side = int(
                (agent.cell if len(self.fleet.cells) > 1 else agent.id) in self._cut_off
            )

    def agent(self, agent_id: str) -> Agent:
        """Return the agent with an id as it is now; raises KeyError where there is none."""
        return self._nodes[agent_id].agent

    def _rights_of(self, agent: Agent) -> Rights:
        neighbours = next((cell.neighbours for cell in self.fleet.cells if cell.name == agent.cell), ())
        return Rights(self.fleet.scenario.site, agent, neighbours)

    def _publish(self, node: _Node, out: Out) -> None:
        """Publish an agent's messages on the bus."""
        if node.rights is not None:
            out = node.rights.permitted(out)
        for scope, sent in out:
            message = self._observe(node, scope, sent) if self._observed else sent
            receivers = self._direct.get(scope) or self._routes.get((message.TYPE, scope))
            if receivers is None:
                if not isinstance(message, Tick):
                    continue
                receivers = self._phases[message.phase]
            if self._network is not None:
                self._deliver_over_network(self._network, receivers, (node, scope, message))
            elif self._shuffle is None:
                self._queue.append((receivers, node, scope, message))
            else:
                self._queue.extend(([to], node, scope, message) for to in receivers)

    def _observe(self, node: _Node, scope: str, message: Message) -> Message:
        """Pass a message to the receivers; return it, after its encoding if `encoded` is set."""
        if self._encoded:
            message = decode(message.TYPE, encode(message))
        for receive in self._receivers:
            receive(self.now_ms, scope, node.agent.id, message)
        return message

    def _deliver_over_network(
        self, network: FaultyNetwork, receivers: Sequence[_Node], published: tuple[_Node, str, Message]
    ) -> None:
        """Deliver over the faulty network; `published` is sender, scope and message."""
        faulty = self._is_faulty()
        for to in receivers:
            if faulty and self._separated(published[0], to):
                continue
            for delay_ms in network.delays_ms() if faulty else _AT_ONCE:
                if delay_ms:
                    heappush(self._heap, (self.now_ms + delay_ms, "", next(self._serial), ([to], *published)))
                else:
                    self._queue.append(([to], *published))

    def _is_faulty(self) -> bool:
        faults = self._faults
        return faults is not None and faults.from_tick <= self.clock.tick < faults.to_tick

    @staticmethod
    def _separated(one: _Node, other: _Node) -> bool:
        """Return whether a partition separates two devices; clock and reactor are on both sides."""
        if Role.CLOCK in (one.agent.role, other.agent.role) or WHOLE_SITE in (
            one.agent.cell,
            other.agent.cell,
        ):
            return False
        return one.partition_side != other.partition_side

    def _drain(self) -> None:
        """Deliver until no message is left at this instant."""
        queue = self._queue
        now_ms = self.now_ms
        while queue:
            if self._shuffle is not None:
                queue.rotate(-self._shuffle.below(len(queue)))
            receivers, source, scope, message = queue.popleft()
            sender = source.agent.id
            for node in receivers:
                if node is source or not node.up:
                    continue
                agent = node.agent
                out = agent.handle(scope, sender, message, now_ms + node.skew_ms)
                if out:
                    self._publish(node, out)
                if agent.event_ms != node.event_ms or agent.deadline_ms != node.deadline_ms:
                    self._plan(node)

    def _plan(self, node: _Node) -> None:
        """Note when the agent is to be woken next."""
        agent = node.agent
        node.event_ms = due_ms = agent.event_ms
        node.deadline_ms = deadline_ms = agent.deadline_ms
        if deadline_ms is not None and (due_ms is None or deadline_ms < due_ms):
            due_ms = deadline_ms
        if due_ms is None:
            node.due_ms = None
            return
        due_ms = max(due_ms - node.skew_ms, self.now_ms)
        if due_ms != node.due_ms:
            node.due_ms = due_ms
            order = "" if agent is self.clock else agent.id
            heappush(self._heap, (due_ms, order, next(self._serial), node))

    # --- the run -----------------------------------------------------------------------------------------

    def run(self, progress: Callable[["Simulation"], bool] | None = None) -> None:
        """Run to the end, or until `progress`, called at the beginning of every tick, returns False."""
        with _no_collector():
            for node in list(self._nodes.values()):
                self._publish(node, node.agent.start(self.now_ms))
                self._drain()
                self._plan(node)
            clock = self._nodes[CLOCK_ID]
            self._publish(clock, self.clock.begin(self.now_ms))
            self._drain()
            self._plan(clock)
            tick, phase = -1, Phase.SETTLE
            while not self.clock.finished:
                if self.clock.tick_message.phase is not phase:
                    phase = self.clock.tick_message.phase
                    self._publish_judgements()
                if self.clock.tick != tick:
                    tick = self.clock.tick
                    self._set_skews()
                    self._draw_crashes()
                    if progress is not None and not progress(self):
                        break
                self._step()

    def _publish_judgements(self) -> None:
        """Let every device know whom the auditor suspends."""
        register = self.fleet.register
        if self._judge is None or register is None:
            return
        for device, suspension in self._judge():
            register.apply(device, RECORDER_ID, suspension)
            for receive in self._receivers:
                receive(self.now_ms, device, RECORDER_ID, suspension)

    def _step(self) -> None:
        """Go to the next instant, and deliver all its messages."""
        at_ms, _, _, what = heappop(self._heap)
        self.now_ms = max(at_ms, self.now_ms)
        if isinstance(what, _Node):
            if what.due_ms != at_ms:
                return
            what.due_ms = None
            if what.up:
                self._publish(what, what.agent.wake(self.now_ms + what.skew_ms))
                self._plan(what)
        elif isinstance(what, _Restart):
            self._restart(what.node)
        else:
            self._queue.append(what)  # type: ignore[arg-type]
        self._drain()

    # --- crashes -----------------------------------------------------------------------------------------

    def _set_skews(self) -> None:
        """Set the errors of the devices' clocks while the faults last, and none after."""
        faults = self._faults
        if faults is None or not faults.skew_s:
            return
        share = faults.skew_s * 1000 * self._is_faulty()
        for name in self.fleet.ids:
            self._nodes[name].skew_ms = round(
                RandomStream(self.fleet.seed, "skew", name).uniform(-1, 1) * share
            )

    def _draw_crashes(self) -> None:
        """Let devices crash at random; their last will is published at once."""
        faults = self._faults
        if faults is None or not faults.crash or not self._is_faulty():
            return
        for name in self.fleet.ids:
            node = self._nodes[name]
            if node.up and self._crashes.random() < faults.crash:
                node.up = False
                self._publish(node, [node.agent.presence(online=False)])
                back_ms = self.now_ms + faults.down_ticks * TICK_MS + self._crashes.below(TICK_MS)
                heappush(self._heap, (back_ms, name, next(self._serial), _Restart(node)))

    def _restart(self, node: _Node) -> None:
        """Restart a device, and deliver the messages that the broker retains for it."""
        if self._faults is not None and not self._faults.keep_state:
            former = node.agent
            node.agent = self.fleet.build_agent(former.id)
            node.agent.restore_from(former)
            if node.rights is not None:
                node.rights = self._rights_of(node.agent)
        node.up = True
        agent = node.agent
        self._publish(node, agent.start(self.now_ms))
        subscribed = set(agent.subscriptions())
        for other in self._nodes.values():
            scope, presence = other.agent.presence()
            if other.up and ("presence", scope) in subscribed:
                self._queue.append(([node], other, scope, presence))
        tick = self.clock.tick_message
        if tick.phase in agent.phases:
            self._queue.append(([node], self._nodes[CLOCK_ID], "", tick))
        self._plan(node)


class _Restart:
    """The restart of a crashed device."""

    __slots__ = ("node",)

    def __init__(self, node: _Node) -> None:
        self.node = node


@contextmanager
def _no_collector() -> Iterator[None]:
    """Switch the cyclic garbage collector off: agents and messages form no cycles, and it takes 15-20 % of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
