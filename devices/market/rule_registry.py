"""The clearing rules by name: the shipped ones, and those that installed packages add."""

from typing import Final

from gridfleet.devices.market.clearing_rule import ClearingRule
from gridfleet.devices.plugins import Registry

_SHIPPED: Final = {
    "pay-as-bid": "gridfleet.devices.market.shipped_rules:PAY_AS_BID",
    "uniform-price": "gridfleet.devices.market.shipped_rules:UNIFORM_PRICE",
}
CLEARING_RULES: Final[Registry[ClearingRule]] = Registry(
    "gridfleet.clearing_rules", "clearing rule", ClearingRule, _SHIPPED
)
