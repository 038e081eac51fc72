"""The site's register in its secrets folder: what each device may be believed in, signed by the site's CA.

`gridfleet site init` writes the entries of a scenario's groups, `gridfleet device enrol` and `device flash` those of
single devices; the clock publishes them. The file holds no secret.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gridfleet.broker.credentials import FileCredentials, SecretsFolder
from gridfleet.broker.errors import error_reason
from gridfleet.broker.protocol.messages import Registration
from gridfleet.provisioning.cli.exit_codes import CommandError
from gridfleet.provisioning.site.secret_files import read_checked, write_secret

if TYPE_CHECKING:
    from gridfleet.devices.runtime.fleet import Fleet
    from gridfleet.provisioning.site.certificates import Authority

REMEDY: Final = (
    "delete it, then write it with `gridfleet site init DIR --scenario S` and enrol single devices again"
)


def read_register(folder: SecretsFolder) -> dict[str, Registration]:
    """Return the entries by device or prefix; none where there is no register yet.

    Raises CommandError for a file that cannot be read or holds no register.
    """
    try:
        return read_checked(folder.register, dict[str, Registration], REMEDY)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise CommandError(folder.register, f"cannot be read ({error_reason(error)}): {REMEDY}") from None


def write_register(
    folder: SecretsFolder, site: str, authority: "Authority", entries: Mapping[str, Registration]
) -> None:
    """Write the entries atomically; sign those that the CA, whose certificate the folder holds, has not signed."""
    from pydantic import TypeAdapter

    verify = FileCredentials(folder.path).verify
    kept = {subject: entry for subject, entry in read_register(folder).items() if subject in entries}
    for subject, entry in sorted(entries.items()):
        data, known = entry.signed_bytes(site, subject), kept.get(subject)
        if known is None or not known.states(entry) or not verify(data, known.signature):
            kept[subject] = replace(entry, signature=authority.sign(data))
    write_secret(folder.register, TypeAdapter(dict[str, Registration]).dump_json(kept, indent=1) + b"\n")


def of_users(entries: Mapping[str, Registration], names: Iterable[str]) -> dict[str, Registration]:
    """Return the entries of groups, and of the single devices that are still users."""
    users = set(names)
    return {subject: entry for subject, entry in entries.items() if entry.devices or subject in users}


def signed_entries(
    secrets: str | None, fleet: "Fleet", report: Callable[[str], object]
) -> Mapping[str, Registration]:
    """Return the entries that the site has signed; report those of the scenario that differ or are missing.

    Without a secrets folder, or where the scenario believes everybody, there are none. Raises CommandError as
    `read_register`.
    """
    from gridfleet.devices.runtime.registrations import registrations_of

    if secrets is None or fleet.register is None:
        return {}
    folder = SecretsFolder(Path(secrets))
    entries = read_register(folder)
    ours = registrations_of(fleet.scenario)
    other = [name for name, entry in ours.items() if name not in entries or not entries[name].states(entry)]
    if other:
        report(
            f"the limits of {', '.join(other)} are not those that the site has signed ({folder.register}), so devices "
            "do not believe them: run `gridfleet site init DIR --scenario S` with this scenario and its --set"
        )
    return entries


class EnrolledDevices:
    """Returns the registrations of single devices that are new or have changed since the last call, for the clock."""

    def __init__(self, directory: Path) -> None:
        """`directory` is the site's secrets folder; one without a register has no enrolled devices."""
        self._folder = SecretsFolder(directory)
        self._written_ns = -1
        self._known: dict[str, Registration] = {}

    def __call__(self) -> dict[str, Registration]:
        """Return device -> registration; nothing while the register cannot be read."""
        try:
            written_ns = self._folder.register.stat().st_mtime_ns
            if written_ns == self._written_ns:
                return {}
            entries = read_register(self._folder)
        except (OSError, CommandError):
            return {}
        self._written_ns = written_ns
        known, self._known = self._known, {name: each for name, each in entries.items() if not each.devices}
        return {name: each for name, each in self._known.items() if known.get(name) != each}
