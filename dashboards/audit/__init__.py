"""The independent auditor: it reads only what is said on a site, trusts nobody, and counts what should not be.

Nothing depends on the order in which words of different topics arrive: a tick is judged when the tick after the
next begins. A word said again (the same award or receipt) counts once, the first time.

**Hard always**, whatever the network loses, delays or repeats, because each compares one side's words with the
same side's other words, or needs only what was said, not what was heard: `production` (a producer's account adds
up), `packages` (no package is sold beyond its bid, no receipt beyond its award), `supply`, `prices`, a consumer's
half of `books` and `payments` (its account is its receipts), `balances`, `bounds`, `batteries`, `losses`,
`reservations` (lease after offer and acceptance, bill by meter and lease), `ports`, `reserved`, `leases`, `ticks`
and `fresh` (a device that knows better does not act on a tick that is over).

**When settled**, where messages may be lost or late (`exact=False`): a producer's half of `books` and `payments`
is compared once nothing of the tick is unsettled, with the last Correction; `settled` asks that this comes within
8 ticks since both sides have accounted for every tick; `cells` adds up cells in which everybody has reported
and nobody has corrected; `delivery` holds chargers and vehicles to the vehicles' meters. What a producer wrote
off after a day of silence, or a consumer forgot by dying, cannot agree and is not compared. Ticks of which something
may not have been heard (`note_gap`) are judged by what follows from them alone.

**Exactly**, where every message arrives at once (`exact=True`: a simulation without faults, lock-step): all of the
above within the tick, nothing unsettled, every cell's balance, and what chargers delivered and earned is what
vehicles drew and paid in that very tick. Around births and deaths of devices only the comparisons that they
disturb are left out.

Bounds: charging loses 10 % and discharging 6 %, each rounded to whole Wh once per booking; a charger books what it
bought once a tick, meters are booked once per reading.
"""

from gridfleet.dashboards.audit.auditor import Auditor as Auditor
