"""Adaptive computation time (Graves 2016, arXiv:1603.08983) in a stack that applies one layer again and again (arXiv:1807.03819).

Each position says before each step with what probability it halts there, and is done once these probabilities add up to one.
As in Tensor2Tensor's version, a position that has halted goes on being transformed and is seen by the others; its output
alone is frozen. As in Mesh TensorFlow's, all steps are always made, so that the cost does not depend on the data. Departs
from both in the last step, where what has not halted halts: otherwise the weights of its states would not add up to one.
Whether a position halts depends on its own state alone, so a causal stack stays causal.
"""

import math
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from allometry.model._timing import Timing

EPSILON = 0.01  # a position halts where its probabilities add up to more than 1 - EPSILON
PONDER = 0.01  # weight in the objective of steps taken + remainder, the mean over positions
RULES = ("accumulated", "basic")


class Halting(nn.Module):
    """p = sigmoid(w . x + b). It begins at 1 / (steps - 1) everywhere.

    So at first nothing halts before the last step, up to 100 steps; in deeper stacks EPSILON lets it halt 1 % sooner.
    """

    def __init__(self, width: int, steps: int) -> None:
        super().__init__()
        self.halting = nn.Linear(width, 1)
        nn.init.zeros_(self.halting.weight)
        nn.init.constant_(self.halting.bias, -math.log(max(1, steps - 1)))

    def forward(self, x: Float[Tensor, "batch length width"]) -> Float[Tensor, "batch length"]:
        logit = self.halting(x).squeeze(-1)
        return logit.to(torch.promote_types(logit.dtype, torch.float32)).sigmoid()  # type: ignore[no-any-return]


class Adaptive(nn.Module):
    """y, a weighted mean of the states s_n after each step.

    With p_n the halting probability, c_n the sum of p_1 .. p_n, and N the first step at which c_N > 1 - EPSILON, or else the
    last: u_n = p_n before N, u_N = 1 - c_{N-1} (the remainder), u_n = 0 after it, and

        accumulated   y = sum_n u_n s_n              the weights add up to one (Graves)
        basic         y <- u_n s_n + (1 - u_n) y     they do not: p = 0.6 gives 0.4 s_2 + 0.36 s_1 (Tensor2Tensor's default)
    """

    def __init__(self, layer: nn.Module, width: int, steps: int, rule: str) -> None:
        super().__init__()
        self.rule, self.causal = rule, bool(layer.causal)
        halting = Halting(width, steps)  # the same at every step, as is the layer, and so counted once for each
        each = [(Timing(width, step), halting, layer) for step in range(1, steps + 1)]
        self.steps, self.layers = steps, nn.ModuleList([module for parts in each for module in parts])
        self.ponder: Tensor | float = 0.0

    def forward(
        self,
        x: Float[Tensor, "batch length width"],
        memory: Float[Tensor, "batch source width"] | None = None,
        keep: Bool[Tensor, "batch read"] | None = None,
    ) -> Float[Tensor, "batch length width"]:
        """`keep` is of the memory, or of x in an encoder."""
        y = torch.zeros_like(x)
        total = taken = torch.zeros(x.shape[:2], device=x.device)  # c_n, and steps taken + remainder
        running = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
        modules = iter(self.layers)
        for step, (timing, halting, layer) in enumerate(zip(modules, modules, modules, strict=True), 1):
            x = timing(x)
            p = halting(x)
            halts = running if step == self.steps else running & (total + p > 1 - EPSILON)
            weight = torch.where(halts, 1 - total, p * running)
            taken = taken + running + (1 - total) * halts
            total, running = total + weight, running & ~halts
            x = layer(x, memory, keep)
            share = weight[..., None].to(x.dtype)
            y = y + share * (x if self.rule == "accumulated" else x - y)
        self.ponder = _mean(taken, None if self.causal else keep)
        return y

    def auxiliary_loss(self) -> Tensor | float:
        """The ponder cost of the last forward pass."""
        return PONDER * self.ponder

    def __getstate__(self) -> dict[str, Any]:
        """Of a copy: the cost of a pass belongs to the graph of that pass, which cannot be copied."""
        return {**self.__dict__, "ponder": 0.0}


class AdaptiveEncoder(nn.Module):
    """(x, keep) -> (x, keep)."""

    def __init__(self, stack: Adaptive) -> None:
        super().__init__()
        self.stack = stack

    def forward(
        self, x: Float[Tensor, "batch source width"], keep: Bool[Tensor, "batch source"] | None = None
    ) -> tuple[Float[Tensor, "batch source width"], Bool[Tensor, "batch source"] | None]:
        return self.stack(x, None, keep), keep


def _mean(x: Float[Tensor, "batch length"], keep: Bool[Tensor, "batch length"] | None) -> Float[Tensor, ""]:
    """Over what is kept."""
    return x.mean() if keep is None else (x * keep).sum() / keep.sum().clamp_min(1)


def reference(
    stack: Adaptive,
    x: Float[Tensor, "batch length width"],
    memory: Float[Tensor, "batch source width"] | None = None,
    keep: Bool[Tensor, "batch read"] | None = None,
) -> tuple[Float[Tensor, "batch length width"], Float[Tensor, ""]]:
    """The output and the mean of steps + remainder, one position at a time, each with its own halting.

    The states are those of the layer itself, step after step: what halts does not change them.
    """
    states, chances = [], []
    for step in range(stack.steps):
        timing, halting, layer = stack.layers[3 * step : 3 * step + 3]
        x = timing(x)
        chances.append(torch.sigmoid(x @ halting.halting.weight[0] + halting.halting.bias))
        x = layer(x, memory, keep)
        states.append(x)
    outputs, costs = [], []
    for b in range(x.shape[0]):
        for t in range(x.shape[1]):
            weights, halted = [], False
            while not halted:
                n = len(weights)
                p, before = chances[n][b, t], sum(weights, torch.zeros_like(chances[0][b, t]))
                halted = bool(before + p > 1 - EPSILON) or n == stack.steps - 1
                weights.append(1 - before if halted else p)
            y = torch.zeros_like(x[b, t])
            for u, state in zip(weights, states, strict=False):
                y = y + u * state[b, t] if stack.rule == "accumulated" else u * state[b, t] + (1 - u) * y
            outputs.append(y)
            if stack.causal or keep is None or keep[b, t]:
                costs.append(len(weights) + weights[-1])
    return torch.stack(outputs).view_as(x), torch.stack(costs).mean()
