"""A function as a module, for the census."""

from collections.abc import Callable
from typing import Any

from torch import nn


class Calls(nn.Module):
    """What a function makes of its arguments; those that are `static` stand behind what is given."""

    def __init__(self, function: Callable[..., Any], *static: Any) -> None:
        super().__init__()
        self.function, self.static = function, static

    def forward(self, *given: Any, **named: Any) -> Any:
        return self.function(*given, *self.static, **named)
