"""`gridfleet trust`: who is suspended at a running site and why; lifts suspensions."""

import argparse
from typing import TYPE_CHECKING, Final

from gridfleet.provisioning.cli.broker_options import add_running_site, login_of
from gridfleet.provisioning.cli.exit_codes import CommandError, ExitCode
from gridfleet.provisioning.cli.terminal import print_message

if TYPE_CHECKING:
    from gridfleet.broker.protocol.messages import Limits, Tick
    from gridfleet.provisioning.clients.trust_client import Judgement, TrustClient

HELP: Final = "show who is suspended and why; lift and begin suspensions"
DESCRIPTION: Final = (
    "Show the devices of a running site with which nobody deals: since when, until when, by whom, for which lie,\n"
    "and the evidence. The site's auditor suspends who lies provably; docs/trust.md says how, and what to do when\n"
    "a device of yours is suspended. --lift ends a suspension from the present tick on, --suspend begins one from\n"
    "the next tick on. Both last as long as the run."
)
EXAMPLES: Final = (
    "gridfleet trust",
    "gridfleet trust --limits --broker mqtts://broker.example --secrets secrets",
    "gridfleet trust --lift charger-03 --reason 'meter replaced'",
)
DEFAULT_TICKS: Final = 96
MAX_REASON: Final = 64


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `trust`."""
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--lift", metavar="DEVICE", help="end the suspension of a device")
    what.add_argument("--suspend", metavar="DEVICE", help="suspend a device")
    what.add_argument("--limits", action="store_true", help="show what each device may be believed in")
    parser.add_argument(
        "--ticks", type=int, metavar="N", help=f"with --suspend: for so many ticks (default: {DEFAULT_TICKS})"
    )
    parser.add_argument(
        "--reason",
        metavar="TEXT",
        help="with --lift and --suspend: why, for the event log and the other operators",
    )
    add_running_site(parser, user="operator")


def execute(arguments: argparse.Namespace) -> int:
    """Show or change suspensions; return 1 when that fails."""
    from gridfleet.broker.errors import BrokerError
    from gridfleet.provisioning.clients.running_site import running_site
    from gridfleet.provisioning.clients.trust_client import TrustClient

    _check(arguments)
    address, site = running_site(arguments)
    with TrustClient(address, site, login_of(arguments, address)) as client:
        try:
            problem = client.read() or _judge(client, arguments)
        except BrokerError as error:
            problem = str(error)
        if problem:
            print_message(f"gridfleet trust: {problem}")
            return ExitCode.FAILED
        if arguments.limits:
            _print_limits(client)
        elif client.tick is not None:
            _print_judgements(client.judgements(), client.tick, site)
    return ExitCode.SUCCESS


def _judge(client: "TrustClient", arguments: argparse.Namespace) -> str:
    """Lift or suspend where that is asked for; return why it failed, or nothing."""
    if arguments.lift is not None:
        return client.lift(arguments.lift, arguments.reason or "lifted by an operator")
    if arguments.suspend is not None:
        ticks = DEFAULT_TICKS if arguments.ticks is None else arguments.ticks
        return client.suspend(arguments.suspend, arguments.reason or "suspended by an operator", ticks)
    return ""


def _check(arguments: argparse.Namespace) -> None:
    """Raise CommandError for options that do not go together, or values that no message can have."""
    import re

    from gridfleet.broker.protocol.messages import ID_PATTERN

    if arguments.ticks is not None and arguments.suspend is None:
        raise CommandError("--ticks", "goes with --suspend")
    if arguments.ticks is not None and not 1 <= arguments.ticks <= 100_000:
        raise CommandError(f"--ticks {arguments.ticks}", "must be 1 to 100000")
    if arguments.reason is not None and arguments.suspend is None and arguments.lift is None:
        raise CommandError("--reason", "goes with --lift or --suspend")
    if arguments.reason is not None and not 1 <= len(arguments.reason) <= MAX_REASON:
        raise CommandError("--reason", f"must have 1 to {MAX_REASON} characters")
    device = arguments.lift if arguments.lift is not None else arguments.suspend
    if device is not None and re.fullmatch(ID_PATTERN, device) is None:
        raise CommandError(device, "is not an id: up to 48 letters, digits, '_', '.' and '-'")


def _print_judgements(judgements: "list[Judgement]", tick: "Tick", site: str) -> None:
    """Print who is suspended, and whose suspension has ended in this run."""
    now = tick.tick
    suspended = [
        each for each in judgements if not each.suspension.lifts and each.suspension.until_tick > now
    ]
    names = "nobody is suspended" if not suspended else f"{len(suspended)} suspended"
    print(f"Site {site}, tick {now}: {names}")
    for each in judgements:
        of = each.suspension
        if of.lifts:
            state = f"suspension lifted in tick {of.since_tick}"
        elif of.until_tick <= now:
            state = f"was suspended in ticks {of.since_tick} to {of.until_tick - 1}"
        else:
            state = f"suspended from tick {of.since_tick} until tick {of.until_tick}"
        print(f"\n{each.device}: {state}, by {each.judge}\n  {of.lie}")
        if of.evidence:
            print(f"  {of.evidence}")


def _print_limits(client: "TrustClient") -> None:
    """Print the site's register as a table."""
    if not client.registrations:
        print(
            "The site has no register: its scenario has trust.enabled=false, or its clock has not started yet"
        )
        return
    rows: list[tuple[str, ...]] = [
        ("device", "most sold", "most bid for", "highest price", "battery", "ports", "power")
    ]
    for name, entry in sorted(client.registrations.items()):
        first = f"{name}-{1:0{len(str(entry.devices))}d}"
        devices = f"{first} to {entry.devices}" if entry.devices > 1 else first if entry.devices else name
        rows.append((devices, *_limit_texts(entry.limits)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def _limit_texts(limits: "Limits") -> tuple[str, ...]:
    """Return limits as texts; a dash where there is none."""
    from gridfleet.broker.protocol.messages import Limits

    none = Limits()

    def text(name: str, form: str, divisor: float = 1.0) -> str:
        value = getattr(limits, name)
        return "–" if value == getattr(none, name) else form.format(value / divisor)

    return (
        text("sells_wh", "{:g} kWh", 1e3),
        text("buys_wh", "{:g} kWh", 1e3),
        text("price_ueur_per_kwh", "{:g} EUR/kWh", 1e6),
        text("capacity_wh", "{:g} kWh", 1e3),
        text("ports", "{:g}"),
        text("power_w", "{:g} kW", 1e3),
    )
