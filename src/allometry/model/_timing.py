"""Timing signals: sinusoids of the position and of the step, added to the state before a step (arXiv:1807.03819)."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from allometry.model.blocks._rotary import angles

SIZE = 0.5  # of the sinusoids: the standard deviation of an embedding here, where it is 1 in the paper and so are they


class Timing(nn.Module):
    """x_i <- x_i + SIZE (sinusoid(i) + sinusoid(step)): channels 2j have sin(i / 10000^(2j / width)), channels 2j + 1 cos."""

    def __init__(self, width: int, step: int) -> None:
        super().__init__()
        self.width, self.step = width, step
        self._table: Tensor | None = None

    def forward(
        self,
        x: Float[Tensor, "batch length width"],
        memory: Float[Tensor, "batch source width"] | None = None,
        keep: Bool[Tensor, "batch read"] | None = None,
    ) -> Float[Tensor, "batch length width"]:
        """Called as a layer is; what a layer reads besides x is not looked at."""
        return x + self.signal(x)

    def signal(self, x: Float[Tensor, "batch length width"]) -> Float[Tensor, "length width"]:
        """For the positions of x. The table is made for the length at hand and kept, so any length works."""
        length, table = x.shape[1], self._table
        if table is None or table.shape[0] < length or table.device != x.device or table.dtype != x.dtype:
            with torch.inference_mode(False):  # a table made while evaluating must serve training too
                angle = angles(max(length, self.step + 1), self.width, x)
                both = torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(-2)
                both = both[:, : self.width]  # an odd width ends with a sine
                table = self._table = (SIZE * (both + both[self.step]))[:length].to(x.dtype)
        return table[:length]
