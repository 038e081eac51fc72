"""The lies by name: the shipped ones, and those that installed packages add."""

from typing import Final

from gridfleet.devices.plugins import Registry
from gridfleet.devices.trust.liars.lie import Lie

_MODULES: Final = {
    "sellers": ("announce", "withhold", "award-late", "steal", "oversell"),
    "buyers": (
        "bid-everything",
        "bid-and-refuse",
        "refuse-awards",
        "refuse-late",
        "no-receipt",
        "double-receipt",
        "altered-receipt",
    ),
    "chargers": ("overbill", "pad-bill", "zero-price", "changing-offer", "false-fee"),
    "vehicles": ("hog", "reserve-everywhere", "no-show", "under-report"),
    "accounts": ("false-account", "silent-account", "foreign-account", "false-clock"),
    "timing": ("replay", "flood", "wrong-time", "false-ready"),
    "collusion": ("collude",),
}
_SHIPPED: Final = {
    name: f"gridfleet.devices.trust.liars.{module}:{name.upper().replace('-', '_')}"
    for module, names in _MODULES.items()
    for name in names
}
LIES: Final[Registry[Lie]] = Registry("gridfleet.liars", "lie", Lie, _SHIPPED)
