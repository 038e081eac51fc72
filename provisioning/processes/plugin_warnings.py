"""Warnings about packages whose kinds of device, clearing rules or offer rankings cannot be used."""

from gridfleet.provisioning.cli.terminal import print_message


def plugin_problems(*, only_looked_up: bool = False) -> list[str]:
    """Return one line for each entry point that cannot be used; nothing else stops working.

    Looking at the installed packages takes tens of milliseconds and a megabyte. With `only_looked_up`, as on a device,
    only those registries count that had to do it anyway.
    """
    from gridfleet.devices.charging.ranking_registry import OFFER_RANKINGS
    from gridfleet.devices.kinds.registry import AGENT_TYPES
    from gridfleet.devices.market.rule_registry import CLEARING_RULES

    registries = (AGENT_TYPES, CLEARING_RULES, OFFER_RANKINGS)
    return [
        line
        for registry in registries
        if registry.looked_up or not only_looked_up
        for line in registry.problems()
    ]


def warn_of_plugins(*, only_looked_up: bool = False) -> None:
    """Print a warning for each entry point that cannot be used."""
    for line in plugin_problems(only_looked_up=only_looked_up):
        print_message(f"gridfleet: warning: {line}")
