"""Checks what agents of other packages do: a mistake of theirs is one line that names device, tick and place.

Agents of this package are taken as they are. For others, every message is held to the bounds that receivers hold it to,
and an exception becomes an AgentError, in the simulation as over a broker.
"""

from typing import Any, Final

from gridfleet.broker.errors import PayloadError
from gridfleet.broker.protocol.codec import check
from gridfleet.broker.protocol.messages import Figure, Message, State
from gridfleet.broker.protocol.validation_errors import shown_value, what_is_allowed
from gridfleet.devices.agents.base import Agent, AgentError, Out
from gridfleet.devices.plugins import place_of

_OWN: Final = __name__.partition(".")[0]
_CLASSES: Final[dict[type[Agent], Any]] = {}
"""Classes of other packages, with the checked class of each."""


def checked(agent: Agent) -> Agent:
    """Return an agent whose messages and exceptions are checked where its class comes from another package.

    Raises ValueError for figures that are not what messages allow.
    """
    agent_class = type(agent)
    if agent_class.__module__.partition(".")[0] != _OWN:
        _check_figures(agent)
        if agent_class not in _CLASSES:
            _CLASSES[agent_class] = _checked_class(agent_class)
        agent.__class__ = _CLASSES[agent_class]
    return agent


def _checked_class(agent_class: Any) -> Any:  # noqa: ANN401 - a class of another package, and its subclass
    class Checked(agent_class):  # type: ignore[misc]
        """An agent of another package."""

        __slots__ = ()

        def start(self, now_ms: int) -> Out:
            return _guarded(self, super().start, now_ms)

        def handle(self, scope: str, sender: str, message: Message, now_ms: int) -> Out:
            return _guarded(self, super().handle, scope, sender, message, now_ms)

        def wake(self, now_ms: int) -> Out:
            return _guarded(self, super().wake, now_ms)

    Checked.__name__ = Checked.__qualname__ = agent_class.__name__
    Checked.__module__ = agent_class.__module__
    return Checked


def _guarded(agent: Agent, method: Any, *arguments: object) -> Out:  # noqa: ANN401 - a method of the agent
    """Call a method of an agent; raise AgentError for what it does wrong."""
    try:
        out: Out = method(*arguments)
        for _, message in out:
            _check_message(agent, message)
    except AgentError as error:
        if error.located:
            raise
        raise _located(agent, error, str(error)) from error
    except Exception as error:
        raise _located(agent, error, f"{type(error).__name__}: {error}") from error
    return out


def _located(agent: Agent, error: Exception, text: str) -> AgentError:
    return agent.error(f"{text}{place_of(error)}", f"correct {type(agent).__name__}")


def _check_message(agent: Agent, message: Message) -> None:
    """Raise AgentError for a message that receivers would refuse."""
    try:
        check(message)
    except PayloadError as error:
        raise AgentError(f"publishes an invalid {error}") from None
    if isinstance(message, State):
        unknown = message.figures.keys() - {figure.name for figure in agent.figures}
        if unknown:
            raise AgentError(
                f"read_figures() returns {', '.join(sorted(unknown))}, which `figures` does not declare"
            )


def _check_figures(agent: Agent) -> None:
    """Raise ValueError for figures that are not what messages allow."""
    from pydantic import TypeAdapter, ValidationError

    adapter = TypeAdapter(Figure)  # made here, because agents of this package need none
    for figure in agent.figures:
        try:
            adapter.validate_json(adapter.dump_json(figure, warnings=False))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            key = ".".join(map(str, first["loc"]))
            raise ValueError(
                f"figures: {key}{shown_value(first['input'])}: {what_is_allowed(first)}"
            ) from None
