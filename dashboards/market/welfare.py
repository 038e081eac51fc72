"""What a tick's market was worth to its buyers, what it could have been worth, and what stayed unserved.

Welfare is what the buyers who were served had bid, less the grid supply's price for what it sold [1]. The optimum is
the value of the linear programme

    maximise   Σ bid·own + Σ (bid − price)·grid      over packages and the cells that may serve them
    subject to own + grid ≤ package,  Σ own of a cell's producers ≤ their supply,
               own only from the buyer's cell and its neighbours, grid only where bid ≥ price

Only packages carry values, so the sets of packages that own supply can serve form a polymatroid, and serving the
packages in the order of what own supply adds, min(bid, price), is optimal [2]. Each package takes what still flows to
it from any cell, along paths that may move energy of other packages to another cell's supply.

[1] R. Wilson, "Architecture of power markets", Econometrica 70 (2002) 1299.
[2] J. Edmonds, "Submodular functions, matroids, and certain polyhedra" (1970): greedy is optimal on polymatroids.
"""

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

from gridfleet.dashboards.market.aggregate import AwardKey, Lots, MarketAggregate

MAX_CELLS: Final = 64
"""Most cells for which the optimum is computed."""

Neighbours = Mapping[str, Collection[str]]
"""Cell -> the cells beside it."""


def neighbours_of(rows: int, columns: int) -> dict[str, list[str]]:
    """Return the cells beside each cell of a site with so many rows and columns of cells.

    >>> neighbours_of(1, 2)
    {'cell-1-1': ['cell-1-2'], 'cell-1-2': ['cell-1-1']}
    """
    if rows * columns > MAX_CELLS:
        return {}
    found = {}
    for row in range(1, rows + 1):
        for column in range(1, columns + 1):
            beside = ((row - 1, column), (row, column - 1), (row, column + 1), (row + 1, column))
            found[f"cell-{row}-{column}"] = [
                f"cell-{r}-{c}" for r, c in beside if 1 <= r <= rows and 1 <= c <= columns
            ]
    return found


class Claim(NamedTuple):
    """What a buyer's cell wants at one price: energy in Wh, price in µEUR/kWh."""

    cell: str
    price: int
    energy_wh: int


class TickWelfare:
    """The welfare of one tick by the buyers' cells, and the demand by kind of buyer; later receipts can be added."""

    def __init__(
        self,
        market: MarketAggregate,
        cells: Mapping[str, str],
        kinds: Mapping[str, str],
        supplies: Collection[str],
        *,
        neighbours: Neighbours,
        price: int | None,
    ) -> None:
        """Add up what was sold, and solve for what could have been.

        `cells` and `kinds` are by device, `supplies` are the grid supplies among them, whose price is `price`, None
        where there is none.
        """
        self._cells, self._kinds, self._supplies = cells, kinds, supplies
        self._price = price if supplies else None
        self.welfare_neur: dict[str, int] = {}
        """By the buyer's cell, for every cell with a bid."""
        self.demands: dict[str, tuple[int, int]] = {}
        """Kind of buyer -> Wh bid for, Wh bought."""
        self._bids: dict[str, dict[int, tuple[int, int]]] = {}
        """Buyer -> index of a package -> its price and the energy that nobody has sold so far."""
        for buyer, packages in market.bids.items():
            self.welfare_neur.setdefault(cells.get(buyer, ""), 0)
            self._bids[buyer] = {each.index: (each.price_ueur_per_kwh, each.energy_wh) for each in packages}
            wanted, bought = self.demands.get(kinds.get(buyer, ""), (0, 0))
            self.demands[kinds.get(buyer, "")] = wanted + sum(each.energy_wh for each in packages), bought
        self.optimum_neur = self._solve(market, neighbours)
        for key, lots in market.sales():
            self.add_sale(key, lots)

    def add_sale(self, key: AwardKey, lots: Lots) -> None:
        """Add the lots of an award that were sold."""
        producer, buyer, _ = key
        cell, kind = self._cells.get(buyer, ""), self._kinds.get(buyer, "")
        cost = self._price or 0 if producer in self._supplies else 0
        packages = self._bids.get(buyer, {})
        for lot in lots:
            if lot.index in packages:
                price, left_wh = packages[lot.index]
                packages[lot.index] = price, left_wh - lot.energy_wh
                wanted, bought = self.demands[kind]
                self.demands[kind] = wanted, bought + lot.energy_wh
                self.welfare_neur[cell] += (price - cost) * lot.energy_wh

    def marginal_prices(self) -> dict[str, int]:
        """Return what one more kWh of own supply would be worth in each cell, µEUR/kWh.

        That is the highest bid that was not wholly served, 0 where all were; at most the grid supply's price.
        """
        found = dict.fromkeys(self.welfare_neur, 0)
        for buyer, packages in self._bids.items():
            cell = self._cells.get(buyer, "")
            unserved = max((price for price, left_wh in packages.values() if left_wh > 0), default=0)
            found[cell] = max(found[cell], unserved)
        if self._price is None:
            return found
        return {cell: min(price, self._price) for cell, price in found.items()}

    def _solve(self, market: MarketAggregate, neighbours: Neighbours) -> dict[str, int] | None:
        """Return the optimum by the buyer's cell; None for more cells than can be solved."""
        supplies = dict.fromkeys(self.welfare_neur, 0)
        for producer, energy_wh in market.supplies.items():
            cell = self._cells.get(producer, "")
            supplies[cell] = supplies.get(cell, 0) + energy_wh
        if len(supplies) > MAX_CELLS:
            return None
        grouped: dict[tuple[str, int], int] = {}
        for buyer, packages in self._bids.items():
            cell = self._cells.get(buyer, "")
            for price, energy_wh in packages.values():
                grouped[cell, price] = grouped.get((cell, price), 0) + energy_wh
        claims = [Claim(cell, price, energy_wh) for (cell, price), energy_wh in grouped.items()]
        return {
            **dict.fromkeys(self.welfare_neur, 0),
            **optimum_neur(claims, supplies, neighbours, self._price),
        }


def optimum_neur(
    claims: Sequence[Claim], supplies: Mapping[str, int], neighbours: Neighbours, price: int | None
) -> dict[str, int]:
    """Return the highest welfare possible, by the buyer's cell in nEUR.

    `supplies` are the Wh of each cell's own producers, `price` is that of a grid supply without limit, or None.

    >>> optimum_neur([Claim("a", 1000, 50), Claim("a", 800, 50)], {"a": 60}, {}, price=None)
    {'a': 58000}
    """
    found: dict[str, int] = {}
    flow = _Flow(supplies, neighbours)

    def added(claim: Claim) -> int:
        return claim.price if price is None else min(claim.price, price)

    for claim in sorted(claims, key=lambda each: (-added(each), -each.price, each.cell)):
        served_wh = flow.serve(claim.cell, claim.energy_wh)
        value = claim.price * served_wh
        if price is not None and claim.price > price:
            value += (claim.price - price) * (claim.energy_wh - served_wh)
        found[claim.cell] = found.get(claim.cell, 0) + value
    return found


class _Flow:
    """What flows from each cell's supply to each cell's buyers."""

    def __init__(self, supplies: Mapping[str, int], neighbours: Neighbours) -> None:
        self._left = dict(supplies)
        self._sources = {cell: [cell, *sorted(neighbours.get(cell, ()))] for cell in supplies}
        self._used: dict[tuple[str, str], int] = {}
        """(supplying cell, buying cell) -> Wh."""
        self._buyers: dict[str, set[str]] = {}

    def serve(self, cell: str, energy_wh: int) -> int:
        """Take as much of an amount as can flow to a cell; return it."""
        served = 0
        while served < energy_wh:
            path = self._path(cell)
            if path is None:
                break
            amount = self._amount(path, energy_wh - served)
            self._push(path, amount)
            served += amount
        return served

    def _path(self, cell: str) -> list[str] | None:
        """Return a shortest path of cells: buyer, source, a buyer whom the source gives up, its new source, and on."""
        before: dict[str, tuple[str, str] | None] = {cell: None}
        waiting = deque([cell])
        seen: set[str] = set()
        while waiting:
            buyer = waiting.popleft()
            for source in self._sources.get(buyer, (buyer,)):
                if source in seen:
                    continue
                seen.add(source)
                if self._left.get(source, 0) > 0:
                    path = [source, buyer]
                    step = before[buyer]
                    while step is not None:
                        path += step
                        step = before[step[1]]
                    return path[::-1]
                for other in sorted(self._buyers.get(source, ())):
                    if other not in before and self._used.get((source, other), 0) > 0:
                        before[other] = source, buyer
                        waiting.append(other)
        return None

    def _amount(self, path: Sequence[str], wanted_wh: int) -> int:
        given_up = [self._used[path[place], path[place + 1]] for place in range(1, len(path) - 1, 2)]
        return min(wanted_wh, self._left[path[-1]], *given_up)

    def _push(self, path: Sequence[str], amount: int) -> None:
        self._left[path[-1]] -= amount
        for place in range(0, len(path) - 1, 2):
            buyer, source = path[place], path[place + 1]
            self._used[source, buyer] = self._used.get((source, buyer), 0) + amount
            self._buyers.setdefault(source, set()).add(buyer)
            if place + 2 < len(path):
                self._used[source, path[place + 2]] -= amount
