"""A stage that shares its name with a public function: `al.fit(table)` beside `allometry.fit.estimate`.

Python binds a subpackage to its name in the package as soon as anything of it is imported, and would so hide the function. So the
public name is that of the stage from the start, and the stage can be called.
"""

import inspect
import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class Stage(ModuleType):
    """A package that can be called; `_called` is (module, function)."""

    _called: tuple[str, str]

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self._function(*arguments, **named)

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self._function)

    @property
    def _function(self) -> Any:
        module, name = self._called
        return getattr(import_module(module), name)


def called(package: str, module: str, name: str) -> None:
    """Let a package answer to a call with the function `name` of `module`."""
    stage = sys.modules[package]
    stage.__class__ = Stage
    stage._called = (module, name)  # type: ignore[attr-defined]
