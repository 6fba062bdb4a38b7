"""Universal Transformer with adaptive computation time (Dehghani et al. 2018, arXiv:1807.03819; Graves 2016, arXiv:1603.08983).

One layer applied again and again with timing signals, as in `universal_transformer.py`; every position learns at which step
its output is done, at a ponder cost of 0.01 (steps + remainder) in the objective. `depth` is the most steps after the first,
and all depth + 1 are always made (as in Mesh TensorFlow), so the FLOPs are constant: halting saves none here, it weights the
states. Departs from Tensor2Tensor in the rule, which here gives weights that add up to one (`basic` is theirs), and in the
start: their bias of 1 halts at the second step, ours gives every step the same weight.
"""

from typing import ClassVar

from torch import nn

from allometry.model._adaptive import RULES, Adaptive, AdaptiveEncoder
from allometry.model._layers import Parts
from allometry.model._sharing import SharingFamily, times
from allometry.model._stack import StackCost
from allometry.model.blocks._block import Block
from allometry.model.blocks.attention import Attention


class AdaptiveUniversalTransformer(SharingFamily):
    """mixer = softmax attention, channel = GELU feed-forward, the same in every step; the steps' states are weighted."""

    claims: ClassVar[frozenset[str]] = frozenset({"causal", "any_length", "whole_past"})

    heads: int
    rule: str = "accumulated"  # accumulated | basic

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rule not in RULES:
            raise ValueError(
                f"AdaptiveUniversalTransformer(rule={self.rule!r}) is not known. Choose one of {', '.join(RULES)}."
            )

    @property
    def steps(self) -> int:
        return self.depth + 1

    def mixer(self, layer: int) -> Block:
        return Attention(width=self.width, heads=self.heads, positions="none")

    def adaptive(self, parts: Parts, causal: bool) -> Adaptive:
        return Adaptive(self.shared([parts] * self.steps, causal), self.width, self.steps, self.rule)

    def encoder(self) -> nn.Module:
        return AdaptiveEncoder(self.adaptive(self.encoder_parts(0), causal=False))

    def decoder(self, crossing: bool) -> nn.Module:
        return self.adaptive(self.decoder_parts(0, crossing), causal=True)

    def stack_cost(self, each: list[Parts], length: int, memory: int = 0) -> StackCost | None:
        """Of a step as often as there are steps; the halting unit has a weight for each channel, and a bias."""
        step = super().stack_cost(each[:1], length, memory)
        if step is None:
            return None
        unit = self.width + 1
        step = step.edit(
            parameters=step.parameters + unit, applied=step.applied + unit, flops=step.flops + 2 * self.width * length
        )
        return times(step, self.steps)
