"""A stack whose layers are one layer, applied again and again: parameters do not grow with depth, FLOPs do."""

from torch import nn

from allometry.model._layers import Layer, Parts
from allometry.model._stack import SequenceFamily, StackCost


class SharingFamily(SequenceFamily):
    """The equation for sequences with one layer per stack, used `depth` times: all its layers must have the same parts."""

    def layers(self, each: list[Parts], causal: bool) -> list[nn.Module]:
        """The same module in every place. Its output is scaled as if each use added to the residual stream on its own."""
        return [self.shared(each, causal)] * len(each)

    def shared(self, each: list[Parts], causal: bool) -> Layer:
        """The one layer of a stack."""
        assert all(parts == each[0] for parts in each)
        return Layer(self.width, each[0], sum(len(parts) for parts in each), causal)

    def stack_cost(self, each: list[Parts], length: int, memory: int = 0) -> StackCost | None:
        """Of one layer that is applied in every place: each application keeps a past of its own."""
        cost = super().stack_cost(each[:1], length, memory)
        return cost and times(cost, len(each))


def times(cost: StackCost, uses: int) -> StackCost:
    """What the same weights cost when they are used so many times."""
    return cost.edit(applied=cost.applied * uses, flops=cost.flops * uses, state=cost.state * uses)
