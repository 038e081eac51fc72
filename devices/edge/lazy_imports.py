"""Keeps a device small: what libraries load at once, and a device never uses, waits until somebody asks for it.

Pydantic searches the metadata of all installed packages for plugins, and paho-mqtt can go through a web proxy. What
both load for that – e-mail, ZIP and HTTP of the standard library – is a tenth of the memory that a device may take.
"""

import importlib
import os
import sys
from types import ModuleType
from typing import Any, Final

_LATER: Final = {"importlib.metadata": ("entry_points",), "urllib.request": ()}
"""Modules, and which of their functions are imported by name without being called."""


class _Later(ModuleType):
    """Stands for a module until something of it is used."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the module has
        if name.startswith("__"):  # the import system asks for these
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


def later() -> None:
    """Put off what can wait; to be called before pydantic and paho-mqtt are loaded, else nothing changes."""
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    for name, functions in _LATER.items():
        if name in sys.modules:
            continue
        module = _Later(name)
        for function in functions:
            setattr(module, function, _calling(module, function))
        sys.modules[name] = module


def _calling(module: _Later, function: str) -> Any:  # noqa: ANN401 - a function of any kind
    def call(*words: Any, **options: Any) -> Any:  # noqa: ANN401 - as the function itself
        return _Later.__getattr__(module, function)(*words, **options)

    return call
