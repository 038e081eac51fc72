"""From accusations to suspensions: who has lied provably is suspended for a time, once for all its lies in it."""

from collections.abc import Iterable

from gridfleet.broker.protocol.messages import MAX_EVIDENCE, Facts, Suspension, Tick
from gridfleet.dashboards.audit.accusations.accuser import Accusation


class Judge:
    """Turns accusations into suspensions from the next tick on."""

    def __init__(self) -> None:
        self._suspension_ticks = 0
        """How long a suspension lasts, by the facts of the run; 0 suspends nobody."""
        self._until: dict[str, int] = {}
        self._tick = -1
        self._epoch = 0

    def on_facts(self, facts: Facts) -> None:
        """Note how long suspensions last."""
        self._suspension_ticks = facts.suspension_ticks

    def on_suspension(self, device: str, suspension: Suspension) -> None:
        """Note a judgement: who is no longer suspended may be judged again, who is needs no second suspension."""
        if suspension.epoch == self._epoch:
            self._until[device] = suspension.until_tick

    def on_tick(self, tick: Tick) -> None:
        """Note the site's tick; a new run begins without suspensions."""
        if tick.epoch > self._epoch:
            self._epoch = tick.epoch
            self._until.clear()
            self._tick = tick.tick
        self._tick = max(self._tick, tick.tick)

    def judge(self, accusations: Iterable[Accusation]) -> list[tuple[str, Suspension]]:
        """Return the suspensions that begin, by device: none for who is suspended already."""
        found: list[tuple[str, Suspension]] = []
        for accused in accusations:
            since = self._tick + 1
            if not self._suspension_ticks or self._until.get(accused.device, -1) > since:
                continue
            until = self._until[accused.device] = since + self._suspension_ticks
            suspension = Suspension(accused.lie, accused.evidence[:MAX_EVIDENCE], since, until, self._epoch)
            found.append((accused.device, suspension))
        return found
