"""Defers imports of libraries that a device does not use, which saves a tenth of the memory that it may take.

Pydantic searches the metadata of all installed packages for plugins, and paho-mqtt can use a web proxy. For that they
import e-mail, ZIP and HTTP modules of the standard library. `defer_imports` replaces these by modules that are loaded
when an attribute of them is first used.
"""

import importlib
import os
import sys
from types import ModuleType
from typing import Any, Final

_DEFERRED: Final = {"importlib.metadata": ("entry_points",), "urllib.request": ()}
"""Modules, and those of their functions that are imported by name without being called."""


class _DeferredModule(ModuleType):
    """Takes the place of a module until an attribute of it is used."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the module has
        if name.startswith("__"):  # the import system asks for these
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


def defer_imports() -> None:
    """Defer the imports; to be called before pydantic and paho-mqtt are imported, else it has no effect."""
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    for name, functions in _DEFERRED.items():
        if name in sys.modules:
            continue
        module = _DeferredModule(name)
        for function in functions:
            setattr(module, function, _calling(module, function))
        sys.modules[name] = module


def _calling(module: _DeferredModule, function: str) -> Any:  # noqa: ANN401 - a function of any kind
    def call(*words: Any, **options: Any) -> Any:  # noqa: ANN401 - as the function itself
        return _DeferredModule.__getattr__(module, function)(*words, **options)

    return call
