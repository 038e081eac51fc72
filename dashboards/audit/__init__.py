"""The independent auditor: it uses only the messages of a site, trusts no device, and counts breaches of invariants.

It shares no code with the agents or the recorder for what it checks. Nothing depends on the order in which messages of
different topics arrive: a tick is judged when the tick after the next begins. A repeated message (the same award or
receipt) counts once, the first time.

**Always checked**, whatever the network loses, delays or repeats, because each check compares messages of one side
with other messages of the same side, or needs only messages that were sent, not that they arrived: `production` (a
producer's account adds up), `packages` (no package is sold beyond its bid, no receipt beyond its award), `supply`,
`prices`, a consumer's half of `books` and `payments` (its account equals its receipts), `balances`, `bounds`,
`batteries`, `losses`, `reservations` (lease after offer and acceptance, bill by meter and lease), `ports`,
`reserved`, `leases`, `ticks` and `fresh` (a device that has reported a later tick does not act on an earlier one).

`prices` follow the clearing rule in force, by a specification that shares no code with the rule (`specifications.py`).
What depends on the whole market is compared exactly only where every producer has received everything; elsewhere a
price is at most its bid, and a producer asks all for the same price where the rule has one.

**Checked when settled**, where messages may be lost or late (`exact=False`): a producer's half of `books` and
`payments` is compared once nothing of the tick is unsettled, with the last Correction; `settled` requires that
consumers send their receipts within 8 ticks after both sides report every tick again, and names them; `cells` adds up
cells in which every device has reported and none has corrected; `delivery` compares chargers and vehicles with the
meters. What a producer wrote off after a day without an answer, or a consumer lost with its memory, cannot agree and is
not compared. Ticks of which messages may be missing (`note_gap`) are judged only by the accounts that follow.

**Slow is not false.** Unless `exact`, the time of arrival accuses nobody. An account counts the reservations that
lasted when the last phase of its tick began. A lease certainly lasts until a tick before its end, because the
recorder's time may be behind by so much. A copy of an earlier message, or an award whose first copies expired before
they were sent, may come after the account that leaves its energy unsettled.

**Not received is not false.** Unless `exact`, ticks in which a phase is missing, or in which the clock has connected
again, count as a gap. Single messages that were not received (published without acknowledgement, dropped by a broker)
breach neither `packages` nor `books` where both sides account for the trade (`lost_messages.py`), nor `reservations`
where the vehicle uses the lease; a missing release does, because nothing else states what was drawn last. A run may
begin, and a recorder may join it, while devices are up.

**Checked exactly**, where every message arrives at once (`exact=True`: a simulation without faults, lock-step): all of
the above within the tick, nothing unsettled, every cell's balance, and what chargers delivered and earned equals what
vehicles drew and paid in that very tick. Only the comparisons that a device's start or stop disturbs are left out.

Bounds: charging loses 10 % and discharging 6 %, each rounded to whole Wh once per booking; a charger books what it
bought once a tick, meters are booked once per reading.
"""

from gridfleet.dashboards.audit.auditor import Auditor as Auditor
