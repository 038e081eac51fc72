"""One agent may be both buyer and seller: a store buys in one tick and sells in another, with nothing refused."""

from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from gridfleet.broker.protocol.messages import (
    Award,
    Bid,
    Message,
    Package,
    Phase,
    ProducerState,
    Receipt,
    Request,
    Role,
    Supply,
)
from gridfleet.devices.agents.base import ANSWER_TIMEOUT_MS, MAX_ATTEMPTS, NOTHING, Handler, Out
from gridfleet.devices.agents.instruments import SIMULATED
from gridfleet.devices.agents.roles.buyer import Buyer, BuyingSide
from gridfleet.devices.agents.roles.seller import Seller, SellingSide
from gridfleet.devices.market.accounts import OpenAward
from gridfleet.devices.market.cell_market import CellMarket
from gridfleet.devices.market.packages import group_by_consumer, split_into_packages
from gridfleet.devices.market.shipped_rules import PAY_AS_BID
from tests.devices.testbed import (
    EUR,
    HOME,
    PLACE,
    FixedTurbine,
    Testbed,
    household,
    package,
    reactor,
    turbine,
)

STORED_WH = 20_000
HOUSEHOLD_WH = 15_000


class Store(Buyer, Seller):
    """Buys until it is full in even ticks, and sells what it holds in odd ones."""

    role = Role.PRODUCER
    kind = "store"
    __slots__ = ("buying", "instruments", "market", "power_w", "selling", "stored_wh")

    def __init__(self, name: str = "store") -> None:
        super().__init__(name, HOME, *PLACE)
        self.buying = BuyingSide(self, reactor="reactor", reactor_price_ueur_per_kwh=900_000)
        self.selling = SellingSide(self)
        self.instruments = SIMULATED
        self.power_w = 0
        self.stored_wh = 0
        self.market = CellMarket(-1, PAY_AS_BID)

    @property
    def sells(self) -> bool:
        return self.tick % 2 == 1

    def subscriptions(self) -> list[tuple[str, str]]:
        return [*super().subscriptions(), ("bid", self.cell)]

    def packages_to_bid(self) -> tuple[Package, ...]:
        return split_into_packages(STORED_WH - self.stored_wh, 10_000, EUR)

    def take_delivery(self, energy_wh: int) -> None:
        self.stored_wh += energy_wh

    def on_bid_phase(self, now_ms: int) -> Out:
        if not self.sells:
            return [*self.selling.open_account(0), *super().on_bid_phase(now_ms)]
        self.market = CellMarket(self.tick, PAY_AS_BID)
        self.market.supplies[self.id] = self.stored_wh
        return [*self.selling.open_account(self.stored_wh), (self.cell, Supply(self.tick, self.stored_wh))]

    def on_bid(self, _scope: str, sender: str, bid: Bid, _now_ms: int) -> Out:
        if bid.tick == self.market.tick:
            self.market.bids[sender] = bid.packages
        return NOTHING

    def on_trade_phase(self, now_ms: int) -> Out:
        if not self.sells:
            return NOTHING
        out = self.selling.sell(self.cell, group_by_consumer(self.market.clear(self.id)))
        self.selling.expect_receipts(now_ms)
        return out

    def on_settle_phase(self, _now_ms: int) -> Out:
        self.buying.stop_waiting()
        self.selling.stop_waiting()
        if not self.sells:
            return NOTHING
        sales = self.selling.sales
        self.stored_wh -= sales.sold_wh
        return [self.producer_state(sales.unsold_wh)]

    handlers: ClassVar[dict[type[Message], Handler]] = {**Buyer.handlers, **Seller.handlers, Bid: on_bid}
    phases: ClassVar[dict[Phase, Callable[[Any, int], Out]]] = {
        **Buyer.phases,
        Phase.BID: on_bid_phase,
        Phase.TRADE: on_trade_phase,
        Phase.SETTLE: on_settle_phase,
    }


class StoreWithoutSlots(Store):
    """A subclass that names no slots keeps its attributes as any Python class does."""


def store_of(testbed: Testbed) -> Store:
    agent = testbed.agents["store"]
    assert isinstance(agent, Store)
    return agent


def market_of(store: Store) -> tuple[Testbed, FixedTurbine]:
    """A turbine that serves everyone in tick 0, a household, the store and a reactor."""
    producer = turbine("t1", STORED_WH + HOUSEHOLD_WH)
    return Testbed(producer, household("h1", HOUSEHOLD_WH), store, reactor()), producer


@pytest.mark.parametrize("kind", [Store, StoreWithoutSlots])
def test_it_buys_in_one_tick_and_sells_in_the_next(kind: type[Store]) -> None:
    store = kind()
    testbed, producer = market_of(store)
    testbed.run_tick()
    assert store.stored_wh == STORED_WH
    assert store.balance_neur == -STORED_WH * EUR

    producer.fixed_wh = 0
    testbed.run_tick()
    assert testbed.published(Award, sender="store") == [Award(1, 0, (package(0, 10_000), package(1, 5_000)))]
    account = testbed.published(ProducerState, sender="store")[-1]
    assert (account.generated_wh, account.sold_wh, account.curtailed_wh) == (STORED_WH, HOUSEHOLD_WH, 5_000)
    assert store.stored_wh == STORED_WH - HOUSEHOLD_WH
    assert store.balance_neur == (HOUSEHOLD_WH - STORED_WH) * EUR
    assert all(not agent.refused for agent in testbed.agents.values())


def test_as_a_buyer_it_asks_the_reactor_again() -> None:
    testbed = Testbed(Store(), reactor())
    testbed.drop(Award)
    testbed.run_tick()
    assert testbed.published(Request) == [Request(0, (package(0, 10_000), package(1, 10_000)))] * MAX_ATTEMPTS
    assert not store_of(testbed).waiting


def test_as_a_seller_it_asks_for_missing_receipts_again() -> None:
    store = Store()
    testbed, producer = market_of(store)
    testbed.run_tick()
    producer.fixed_wh = 0
    testbed.drop(Receipt, to="store")
    testbed.run_tick()
    assert len(testbed.published(Award, sender="store")) == MAX_ATTEMPTS
    assert testbed.published(ProducerState, sender="store")[-1].unsettled_wh == HOUSEHOLD_WH
    assert not store.waiting


def test_a_receipt_does_not_end_the_wait_for_the_reactor() -> None:
    store = Store()
    testbed = Testbed(store)
    testbed.begin_phase(Phase.BID)
    store.selling.open_account(5_000)
    ((_, award),) = store.selling.sell(HOME, {"h1": (package(0, 5_000),)})
    assert isinstance(award, Award)
    testbed.begin_phase(Phase.IMPORT)
    assert store.waiting
    testbed.deliver("h1", "store", Receipt(0, award.serial, award.lots))
    assert store.selling.sales.sold_wh == 5_000
    assert store.waiting


def selling_store() -> tuple[Testbed, Store, Award]:
    """A store that has awarded 5 kWh to h1 and waits for the receipt."""
    store = Store()
    testbed = Testbed(store)
    testbed.begin_phase(Phase.BID)
    store.selling.open_account(5_000)
    ((_, award),) = store.selling.sell(HOME, {"h1": (package(0, 5_000),)})
    assert isinstance(award, Award)
    store.selling.expect_receipts(testbed.now_ms)
    assert store.waiting
    return testbed, store, award


def test_the_last_receipt_ends_the_wait_for_receipts() -> None:
    testbed, store, award = selling_store()
    testbed.deliver("h1", "store", Receipt(0, award.serial, award.lots))
    assert not store.waiting


def test_after_reselling_it_waits_for_the_next_receipt() -> None:
    class Reseller(Store):
        def resell(self, award: OpenAward, now_ms: int) -> Out:  # noqa: ARG002
            return self.selling.sell(HOME, {"h2": (package(0, award.energy_wh),)})

    store = Reseller()
    testbed = Testbed(store)
    testbed.begin_phase(Phase.BID)
    store.selling.open_account(5_000)
    store.selling.sell(HOME, {"h1": (package(0, 5_000),)})
    testbed.deliver("h1", "store", Receipt(0, 0, ()))
    assert testbed.skip_to("store", Award).lots == (package(0, 5_000),)
    assert store.waiting
    testbed.wait(MAX_ATTEMPTS * ANSWER_TIMEOUT_MS)
    assert len(testbed.published(Award)) == MAX_ATTEMPTS


def test_the_buying_side_does_not_end_the_wait_of_the_selling_side() -> None:
    testbed, store, _ = selling_store()
    store.buying.stop_waiting()
    assert store.waiting
    testbed.begin_phase(Phase.IMPORT)
    testbed.deliver("reactor", "store", Award(0, 0, (package(0, 10_000), package(1, 10_000))))
    store.selling.expect_receipts(testbed.now_ms)
    store.buying.stop_waiting()
    assert store.waiting


def test_a_method_of_the_tables_can_be_overridden() -> None:
    class Twice(Store):
        def on_bid_phase(self, now_ms: int) -> Out:
            return [*super().on_bid_phase(now_ms)] * 2

        def on_award(self, scope: str, sender: str, award: Award, now_ms: int) -> Out:
            self.refuse("seen")
            return super().on_award(scope, sender, award, now_ms)

    testbed = Testbed(Twice())
    testbed.begin_phase(Phase.BID)
    assert [type(message) for _, _, message in testbed.unread] == [Bid, Bid]
    testbed.deliver("t1", "store", Award(0, 0, (package(0, 10_000),)))
    assert store_of(testbed).refused == {"seen": 1}
    assert store_of(testbed).stored_wh == 10_000
