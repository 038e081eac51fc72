"""The indicators: name, title, unit, definition and source; docs/indicators.md is made from this list."""

from typing import Final, NamedTuple


class Indicator(NamedTuple):
    """An indicator: name, title, unit as in files, decimals that matter, definition, literature, files it is from."""

    name: str
    title: str
    unit: str
    places: int
    definition: str
    literature: str
    source: str


_DEMAND: Final = "demand.csv"
_WELFARE: Final = "welfare.csv"
_TICKS: Final = "ticks.csv"
_RESERVATIONS: Final = "reservations.csv"
_LUTHANDER: Final = (
    "R. Luthander et al., Photovoltaic self-consumption in buildings: a review, Applied Energy 142 (2015) 80"
)

INDICATORS: Final = (
    Indicator(
        "unserved_consumers_kwh", "Unserved, consumers", "kWh", 1,
        "Energy that consumers bid for less what they bought, summed over all ticks. Zero on a site that "
        "starves nobody.",
        "Energy not supplied: IEEE Std 1366-2022, and ENTSO-E, ERAA methodology (expected energy not served)",
        f"{_DEMAND}: bid_kwh − bought_kwh",
    ),
    Indicator(
        "unserved_share_consumers", "Unserved, share of the consumption", "%", 2,
        "That energy as a share of what consumers bid for.",
        "as above", f"{_DEMAND}: bid_kwh, bought_kwh",
    ),
    Indicator(
        "unserved_others_kwh", "Bid for and not bought, others", "kWh", 1,
        "The same of all other buyers. Chargers and storages bid for what is cheap and repeat it in the next "
        "tick, so that "
        "this counts the same need many times: it is no shortage.",
        "as above", f"{_DEMAND}: bid_kwh − bought_kwh",
    ),
    Indicator(
        "marginal_price", "Marginal price, mean over ticks and cells", "EUR/kWh", 3,
        "What one more kWh of own supply would be worth in a cell and tick: the highest bid that was not wholly "
        "served, 0 where "
        "all were, at most the price of the grid supply.",
        "F. Schweppe et al., Spot Pricing of Electricity (1988)", f"{_WELFARE}: marginal_price",
    ),
    Indicator(
        "welfare_eur", "Welfare", "EUR", 2,
        "What the buyers that were served had bid, less the grid supply's price for what it sold.",
        "R. Wilson, Architecture of power markets, Econometrica 70 (2002) 1299", f"{_WELFARE}: welfare_eur",
    ),
    Indicator(
        "welfare_gap", "Welfare gap to the optimum", "%", 4,
        "How far the welfare stays below the optimum of the linear programme that knows all bids and supplies "
        "of a tick: own supply "
        "goes to its cell and the neighbours, the grid supply to bids that reach its price. Solved exactly for "
        "up to 64 cells.",
        "J. Edmonds, Submodular functions, matroids, and certain polyhedra (1970); tested against HiGHS",
        f"{_WELFARE}: welfare_eur, optimum_eur",
    ),
    Indicator(
        "self_sufficiency", "Self-sufficiency", "%", 1,
        "Share of the energy bought that does not come from the grid supply.",
        _LUTHANDER, f"{_TICKS}: (sold_kwh − reactor_kwh) / sold_kwh",
    ),
    Indicator(
        "self_consumption", "Self-consumption", "%", 1,
        "Share of the own generation that was sold on the site. What storages sell counts as generation again.",
        _LUTHANDER, f"{_TICKS}: (generated_kwh − curtailed_kwh) / generated_kwh",
    ),
    Indicator(
        "curtailment_share", "Curtailed share of the generation", "%", 1,
        "Share of the own generation that nobody bought; 100 % less the self-consumption.",
        "L. Bird et al., Wind and solar energy curtailment: a review of international experience, RSER 65 (2016) 577",
        f"{_TICKS}: curtailed_kwh / generated_kwh",
    ),
    Indicator(
        "peak_kw", "Peak of the energy bought", "kW", 1,
        "The highest mean power of a tick that all buyers took together.",
        "IEC 60050-691 (load peak)", f"{_TICKS}: sold_kwh",
    ),
    Indicator(
        "load_factor", "Load factor", "%", 1,
        "Mean power of the energy bought, divided by its peak.",
        "IEC 60050-691-10-02", f"{_TICKS}: sold_kwh",
    ),
    Indicator(
        "co2_kg", "CO₂ of the energy bought", "kg", 1,
        "Energy bought from each kind of seller, times its factor in the scenario's table [emissions]. Storages "
        "count as other.",
        "wind 11 g/kWh: IPCC AR5 WG III Annex III, Table A.III.2 (life cycle, onshore); grid 380 g/kWh: UBA, "
        "Entwicklung der "
        "spezifischen Treibhausgas-Emissionen des deutschen Strommix, 2024 (year 2023)",
        "ledger.csv: energy_kwh; agents.csv: kind",
    ),
    Indicator(
        "hhi", "Concentration of sales (HHI)", "", 0,
        "Sum of the squared shares in per cent of all sellers, the grid supply among them: 10 000 for one "
        "seller, 10 000/n for n equal "
        "ones.",
        "A. Hirschman, The paternity of an index, AER 54 (1964) 761", "ledger.csv: producer, energy_kwh",
    ),
    Indicator(
        "jain_vehicles", "Fairness of charging (Jain)", "", 3,
        "(Σx)² / (n·Σx²) of the energy that each vehicle charged: 1 where all charged alike, 1/n where one "
        "charged all.",
        "R. Jain et al., A quantitative measure of fairness, DEC-TR-301 (1984)", f"{_RESERVATIONS}: energy_kwh",
    ),
    Indicator(
        "gini_vehicles", "Inequality of charging (Gini)", "", 3,
        "Gini coefficient of the energy that each vehicle charged: 0 where all charged alike, near 1 where one "
        "charged all.",
        "C. Gini, Variabilità e mutabilità (1912)", f"{_RESERVATIONS}: energy_kwh",
    ),
    Indicator(
        "waiting_min", "Waiting time for a reservation, mean", "min", 1,
        "From a vehicle's first call of a search to the reservation that it keeps; a search begins again after a "
        "vehicle has charged.",
        "", f"{_RESERVATIONS}: requested, accepted",
    ),
    Indicator(
        "port_utilisation", "Utilisation of charging ports", "%", 1,
        "Time in which vehicles occupied ports, from arrival to release, over all ports and the whole run.",
        "C. Hecht et al., Analysis of electric vehicle charging station usage and profitability in Germany, "
        "eTransportation 11 (2022)",
        f"{_RESERVATIONS}: arrived, released",
    ),
)  # fmt: skip
BY_NAME: Final = {each.name: each for each in INDICATORS}
