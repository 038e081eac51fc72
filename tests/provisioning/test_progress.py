from gridfleet.broker.protocol.messages import Mode, Package, Phase, Receipt, Settings, Tick
from gridfleet.provisioning.cli.progress_bar import price_text
from gridfleet.provisioning.runs.live.lowest_price import LowestPrice


def receipt(tick: int, *prices_ueur: int) -> Receipt:
    lots = tuple(Package(index, 1_000, price) for index, price in enumerate(prices_ueur))
    return Receipt(tick, 0, lots)


def test_the_price_is_the_lowest_of_the_last_finished_tick() -> None:
    price = LowestPrice()

    def price_after(message: Receipt) -> int | None:
        price.receive(0, "turbine-1", "charger-01", message)
        return price.ueur

    assert price_after(receipt(0, 900_000, 400_000)) is None
    assert price_after(receipt(0, 500_000)) is None
    assert price_after(receipt(1, 300_000)) == 400_000
    assert price_after(receipt(0, 100_000)) == 400_000  # late
    assert price_after(receipt(1)) == 400_000
    assert price_after(receipt(2)) == 300_000
    assert price_after(receipt(3, 1)) is None  # nothing was sold in tick 2


def test_a_tick_without_receipts_has_no_price() -> None:
    price = LowestPrice()
    price.receive(0, "turbine-1", "charger-01", receipt(3, 500_000))
    for number, expected in ((4, 500_000), (5, None)):
        tick = Tick(number, Phase.BID, 0, 0, Mode.REALTIME, 900.0, 1, paused=False, settings=Settings())
        price.receive(0, "", "clock", tick)
        assert price.ueur == expected


def test_price_as_text() -> None:
    assert price_text(123_456) == "0.123 EUR/kWh"
    assert price_text(None) == "nothing sold"
