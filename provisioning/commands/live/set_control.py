"""`gridfleet set`: changes settings of a running site."""

import argparse
from typing import Final

from gridfleet.provisioning.cli.broker_options import add_running_site, login_of
from gridfleet.provisioning.cli.exit_codes import ExitCode
from gridfleet.provisioning.cli.terminal import print_message

HELP: Final = "change settings of a running site"
DESCRIPTION: Final = (
    "Publish one retained control message per setting, and wait until the clock reports it as in force. The\n"
    "console in the browser and `gridfleet watch` show the change at once.\n\n"
    "  paused=true|false   pause or resume        step=N             run N more ticks, then pause\n"
    "  ticks=N             ticks of the run       seconds_per_tick=X duration of a tick in scaled mode\n"
    "  mode=lockstep|scaled|realtime\n"
    "  algorithm=NAME         how vehicles rank offers: weighted, best, cheapest, closest, random, or another\n"
    "                         that the site has; `gridfleet watch` lists them\n"
    "  clearing_rule=NAME     pay-as-bid, uniform-price, or another that the site has; from the next tick on\n"
    "  consumer_scale, vehicle_scale, turbine_scale = 0…2         wind_scale = 0…5\n"
    "  storm=true|false       true: a gale for an hour, then all turbines stop; false: wind and turbines as before\n"
    "  chargers_out=LIST      chargers out of service: ids, cells, a share such as 25%, or all; empty: none\n"
    "  outage_s=X             outage drill: every device loses its connection for X seconds, at most 60"
)
EXAMPLES: Final = (
    "gridfleet set wind_scale=0.5",
    "gridfleet set paused=true --broker mqtt://broker.example:1883",
    "gridfleet set mode=scaled seconds_per_tick=2 algorithm=cheapest --broker mqtt://broker.example:1883",
    "gridfleet set chargers_out=charger-03,charger-07 --broker mqtts://broker.example --secrets secrets",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `set`."""
    parser.add_argument("settings", nargs="+", metavar="KEY=VALUE", help="a setting and its value, as above")
    add_running_site(parser, user="operator")


def execute(arguments: argparse.Namespace) -> int:
    """Publish the settings one after the other; return 1 when one does not come into force."""
    from gridfleet.broker.errors import BrokerError
    from gridfleet.provisioning.clients.control_client import ControlClient, parse_setting, value_text
    from gridfleet.provisioning.clients.running_site import running_site

    settings = dict(parse_setting(text) for text in arguments.settings)
    address, site = running_site(arguments)
    with ControlClient(address, site, login_of(arguments, address)) as client:
        for name, value in settings.items():
            try:
                problem = client.set(name, value)
            except BrokerError as error:
                problem = str(error)
            if problem:
                print_message(f"gridfleet set: {name}={value_text(value)}: {problem}")
                return ExitCode.FAILED
            print(f"{name} = {value_text(value)}", flush=True)
    return ExitCode.SUCCESS
