"""What others add to GridFleet by entry points: kinds of device, clearing rules, offer rankings.

A registry knows the shipped ones by name without looking at installed packages, and the others by the entry points of
its group. One that cannot be used is a problem in words, and stops nothing else.
"""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from gridfleet.broker.errors import GridFleetError


class PluginError(GridFleetError, LookupError):
    """A name that nothing has, or a package whose entry point cannot be used."""


class Named(Protocol):
    """What a registry holds."""

    @property
    def name(self) -> str:
        """The name by which scenarios and device files choose it."""
        ...


P = TypeVar("P", bound=Named)


class _Entry(NamedTuple):
    """An entry point; the standard library's class takes a megabyte that a device has no use for."""

    group: str
    name: str
    value: str
    """`module:attribute`."""
    package: str = "gridfleet"

    def load(self) -> Any:  # noqa: ANN401 - whatever a package has there
        name, _, attribute = self.value.partition(":")
        module = import_module(name.strip())
        return getattr(module, attribute.strip()) if attribute else module

    @property
    def origin(self) -> str:
        return f"package {self.package}, entry point {self.group} {self.name!r}"


class Registry(Generic[P]):
    """The plug-ins of one entry-point group, by name; each is imported when it is first asked for."""

    def __init__(self, group: str, what: str, plugin_class: type[P], shipped: Mapping[str, str]) -> None:
        """`what` names one of them in errors; `shipped` maps names to `module:attribute`."""
        self.group = group
        self._what = what
        self._class = plugin_class
        self._shipped = {name: _Entry(group, name, value) for name, value in shipped.items()}
        self._loaded: dict[str, P] = {}
        self._installed: dict[str, list[_Entry]] | None = None

    def get(self, name: str) -> P:
        """Return the one of that name.

        Raises PluginError for a name that nothing has, and for a package whose entry point cannot be used.
        """
        known = self._loaded.get(name)
        if known is None:
            known = self._loaded[name] = self._load(name)
        return known

    def checked(self, name: str) -> str:
        """Return a name that can be used; raise ValueError with the allowed ones for any other, as settings need it."""
        try:
            self.get(name)
        except PluginError as error:
            if name in self:
                raise ValueError(str(error)) from error
            raise ValueError(
                f"no {self._what} of that name is installed; allowed are {', '.join(self.names())}; "
                "choose one of them, or install the package that has it"
            ) from error
        return name

    def __contains__(self, name: str) -> bool:
        return name in self._loaded or name in self._shipped or name in self._others()

    def is_shipped(self, name: str) -> bool:
        """Return whether GridFleet itself has it."""
        return name in self._shipped

    def names(self) -> list[str]:
        """Return the names that can be used: the shipped ones first, then those of other packages, sorted."""
        others = {name for name in (*self._others(), *self._loaded) if name not in self._shipped}
        return [*self._shipped, *sorted(name for name in others if self._problem(name) is None)]

    def register(self, plugin: P, *, replace: bool = False) -> None:
        """Add one to this process without a package, as in a notebook.

        With `replace` it stands in for the one of the same name; otherwise a name that is in use raises PluginError.
        """
        if plugin.name in self and not replace:
            raise PluginError(f"{self._what} {plugin.name!r} exists already: choose another name")
        self._loaded[plugin.name] = plugin

    def forget(self, name: str) -> None:
        """Undo `register`."""
        self._loaded.pop(name, None)

    @property
    def looked_up(self) -> bool:
        """Whether installed packages have been looked at, as a name that is not shipped requires."""
        return self._installed is not None

    def problems(self) -> list[str]:
        """Return one line for each entry point that cannot be used."""
        return list(self._problems())

    def _problems(self) -> Iterator[str]:
        for name, found in sorted(self._others().items()):
            if name in self._shipped:
                for entry in found:
                    yield f"{entry.origin}: {self._what} {name!r} is shipped with GridFleet; rename the entry point"
                continue
            problem = self._problem(name)
            if problem is not None:
                yield problem

    def _problem(self, name: str) -> str | None:
        try:
            self.get(name)
        except PluginError as error:
            return str(error)
        return None

    def _others(self) -> dict[str, list[_Entry]]:
        """Return the entry points of installed packages by name; they are looked up once."""
        if self._installed is None:
            from importlib.metadata import entry_points

            self._installed = {}
            for each in entry_points(group=self.group):
                package = each.dist.name if each.dist is not None else "of unknown name"
                entry = _Entry(self.group, each.name, each.value, package)
                self._installed.setdefault(each.name, []).append(entry)
        return self._installed

    def _load(self, name: str) -> P:
        entry = self._shipped.get(name) or self._only(name)
        try:
            plugin = entry.load()
        except (Exception, SystemExit) as error:  # whatever a package does when it is imported
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise PluginError(
                f"{entry.origin}: cannot be imported ({reason}{place_of(error)}); repair or uninstall the package"
            ) from error
        if not isinstance(plugin, self._class):
            raise PluginError(
                f"{entry.origin}: {entry.value} is of class {type(plugin).__name__}, not {self._class.__name__}"
            )
        if plugin.name != name:
            raise PluginError(
                f"{entry.origin}: the {self._what} is called {plugin.name!r}; give both the same name"
            )
        return plugin

    def _only(self, name: str) -> _Entry:
        """Return the entry point of that name; raise PluginError where there is none, or more than one."""
        found = self._others().get(name, [])
        if len(found) > 1:
            packages = " and ".join(sorted(entry.package for entry in found))
            raise PluginError(f"{self._what} {name!r}: {packages} both have it; uninstall one of them")
        if found:
            return found[0]
        known = [*self._shipped, *sorted({*self._others(), *self._loaded} - self._shipped.keys())]
        close = get_close_matches(name, known, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}"
        raise PluginError(f"unknown {self._what}; {hint}; others come with packages that are installed here")


def place_of(error: BaseException) -> str:
    """Return where an exception arose, as ` (file.py, line 7)`: the last place outside of this package."""
    from traceback import extract_tb

    if isinstance(error, SyntaxError) and error.filename:
        return f" ({_file(error.filename)}, line {error.lineno})"
    own = f"{Path(__file__).parents[1]}/"  # the folder of the package, wherever it is
    frames = [
        frame
        for frame in extract_tb(error.__traceback__)
        if not frame.filename.startswith(own)
        and not frame.filename.startswith("<")
        and "importlib" not in frame.filename
    ]
    return f" ({_file(frames[-1].filename)}, line {frames[-1].lineno})" if frames else ""


def definition_of(function: object) -> str:
    """Return where a function is defined, as ` (file.py, line 7)`; nothing for one that is not written in Python."""
    from inspect import unwrap

    while hasattr(function, "func"):  # functools.partial
        function = function.func
    found = unwrap(function) if callable(function) else function
    if not hasattr(found, "__code__"):  # an object that is called
        found = vars(type(found)).get("__call__")
    code = getattr(found, "__code__", None)
    return f" ({_file(code.co_filename)}, line {code.co_firstlineno})" if code is not None else ""


def _file(path: str) -> str:
    return path.rpartition("/")[2]
