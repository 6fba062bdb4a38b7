"""The contract of a block: one part of a layer, `Float[batch length width] -> Float[batch length width]`.

A block is a Spec; `build()` makes the layer. A layer whose fast form is not the literal equation keeps
`reference(layer, x)` in the same file: the equation as a loop, the oracle of its tests.
"""

from typing import Any, ClassVar

from torch import nn

from allometry.spec import Spec

# What a layer may read, and how it is called.
POSITION = "position"  # layer(x): each position alone
SEQUENCE = "sequence"  # layer(x) in a causal stack; layer(x, keep) in an encoder, where `keep` is False on padding
MEMORY = "memory"  # layer(x, memory, keep): what the encoder gave, and which of it is not padding


class Cost(Spec):
    """What a part costs for one sequence, as the mathematics says: the meter must count the same."""

    parameters: int
    flops: float  # forward, of the whole sequence, 2 per multiply-add; attention dense
    state: int = 0  # numbers to keep of the past of one sequence while it is generated
    idle: int = 0  # parameters that a token does not meet (the other experts of a sparse part)


class Block(Spec):
    """One part: what it is in numbers, and `build`. A part of both kinds of stack has a field `causal: bool = True`."""

    reads: ClassVar[str] = POSITION

    width: int

    def build(self, outputs: int) -> nn.Module:
        """Return the layer. `outputs` is how many parts add to the residual stream: the initial output is scaled by it."""
        raise NotImplementedError

    def cost(self, length: int, memory: int = 0) -> Cost | None:
        """What it costs on a sequence of `length` (and a memory of so many positions); None: the block gives no formula."""
        return None


def check_heads(block: Any, even: bool = False) -> None:
    """Refuse heads that do not share the channels evenly; `even` where positions turn pairs of a head's channels."""
    unit = (2 if even else 1) * block.heads
    if block.width % unit:
        raise ValueError(
            f"{type(block).__name__}(heads={block.heads}) cannot split width={block.width} into {'even ' * even}head widths. "
            f"Choose a width that is a multiple of {unit}."
        )


def check_kernel(block: Any) -> None:
    """Refuse an even number of taps where they lie around a position."""
    if not block.causal and block.kernel % 2 == 0:
        raise ValueError(
            f"{type(block).__name__}(kernel={block.kernel}) has no middle where both sides are seen. Choose an odd kernel."
        )


def spread(weight: nn.Parameter | None, fan_in: int, outputs: int = 1) -> None:
    """Initialise normally with variance 1 / fan_in, divided by `outputs` where many parts add up (as GPT-2 does)."""
    if weight is not None:
        nn.init.normal_(weight, std=(fan_in * outputs) ** -0.5)
