"""Switch transformer (Fedus, Zoph, Shazeer 2021, arXiv:2101.03961): many feed-forward parts, of which a token meets one.

Every second layer is sparse, from the second on, as in the original; the only layer of a model of one is sparse too, or
there would be no experts at all. Sizes are matched by the parameters that a token meets, so that a switch transformer has
the FLOPs of a transformer, and eight times its feed-forward parameters in every second layer. Eight experts, as the smallest
of the published models have. `blocks/switch.py` says where the routing departs from the original.
"""

from allometry.model._attention import AttentionFamily
from allometry.model.blocks._block import Block
from allometry.model.blocks.switch import Switch


class SwitchTransformer(AttentionFamily):
    """mixer = softmax attention; channel = GELU feed-forward and, in turn, one of several experts."""

    experts: int = 8

    def channel(self, layer: int) -> Block:
        if layer % 2 == 1 or self.depth == 1:
            return Switch(width=self.width, hidden=4 * self.width, experts=self.experts)
        return super().channel(layer)
