"""The contract of a block: one part of a layer, `Float[batch length width] -> Float[batch length width]`.

A block is a Spec; `build()` makes the layer. A layer whose fast form is not the literal equation keeps
`reference(layer, x)` in the same file: the equation as a loop, the oracle of its tests.
"""

from torch import nn

from allometry.spec import Spec


class Block(Spec):
    """One part: what it is in numbers, and `build`."""

    width: int

    def build(self, outputs: int) -> nn.Module:
        """Return the layer. `outputs` is how many parts add to the residual stream: the initial output is scaled by it."""
        raise NotImplementedError


def spread(weight: nn.Parameter | None, fan_in: int, outputs: int = 1) -> None:
    """Initialise normally with variance 1 / fan_in, divided by `outputs` where many parts add up (as GPT-2 does)."""
    if weight is not None:
        nn.init.normal_(weight, std=(fan_in * outputs) ** -0.5)
