"""Layers of units, hard (threshold gates) or soft (trainable), between whose activation and output a quark can act.

Weights may have leading axes, `copies`: as many layers of their own at once, all on the same rows.
"""

import copy
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from allometry.model.blocks._block import spread

CONVENTIONS = ("01", "pm")
SOFT = (torch.sigmoid, torch.tanh, Tensor.sigmoid, Tensor.tanh, nn.functional.sigmoid, nn.functional.tanh)


class Threshold(nn.Module):
    """H(S) in {0, 1} or, by the convention `pm`, sgn(S) in {-1, +1}; both are at their upper value where S = 0.

    Soft: sigmoid(sharpness S), or 2 sigmoid(sharpness S) - 1, which become these as the sharpness grows. A hard
    one has no gradient.
    """

    def __init__(self, convention: str = "pm", sharpness: float | None = None) -> None:
        super().__init__()
        if convention not in CONVENTIONS:
            raise ValueError(f"Threshold(convention={convention!r}) is not known. Choose one of {', '.join(CONVENTIONS)}.")
        if sharpness is not None and not sharpness > 0:
            raise ValueError(
                f"Threshold(sharpness={sharpness}) does not rise. Give a number above 0, or None for a hard one."
            )
        self.signed, self.sharpness = convention == "pm", sharpness

    def forward(self, activation: Float[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:
        opened = (
            (activation >= 0).to(activation.dtype) if self.sharpness is None else (self.sharpness * activation).sigmoid()
        )
        return 2 * opened - 1 if self.signed else opened


def hardened(module: nn.Module) -> nn.Module:
    """A copy with the same weights, in which every threshold is hard.

    A sigmoid or tanh that is no `Threshold` stays soft whatever its sharpness, so that a module with one is refused.
    """
    module = copy.deepcopy(module)
    for part in module.modules():
        if isinstance(part, nn.Sigmoid | nn.Tanh) or getattr(part, "fire", None) in SOFT:
            raise ValueError(f"{type(part).__name__} has a sigmoid or tanh, which stays soft. Use Threshold(sharpness=...).")
        if isinstance(part, Threshold):
            part.sharpness = None
    return module


class Neurons(nn.Module):
    """O = f(S): `sums` gives S of rows and `fire` is f. Whatever acts on S can stand between them. A vector is one row."""

    fire: Callable[[Tensor], Tensor]

    def sums(self, x: Float[Tensor, "*axes inputs"]) -> Float[Tensor, "*places units"]:
        raise NotImplementedError

    def forward(self, x: Float[Tensor, "*axes inputs"]) -> Float[Tensor, "*places units"]:
        return self.fire(self.sums(x)) if x.ndim > 1 else self(x[None]).squeeze(-2)


class Units(Neurons):
    """S = W x + b. x is [rows inputs], and S [rows units], or [copies rows units] of weights with copies."""

    def __init__(
        self,
        inputs: int,
        units: int,
        fire: Callable[[Tensor], Tensor],
        bias: bool = True,
        copies: tuple[int, ...] = (),
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(*copies, units, inputs))
        self.bias = nn.Parameter(torch.zeros(*copies, units)) if bias else None
        self.fire = fire
        spread(self.weight, inputs)

    def sums(self, x: Float[Tensor, "*axes inputs"]) -> Float[Tensor, "*places units"]:
        total = x @ self.weight.mT
        if self.bias is None:
            return total
        return total + (self.bias[..., None, :] if x.ndim > 1 else self.bias)
