"""Rotary positions (Su et al. 2021, arXiv:2104.09864): pairs of channels turn by an angle that grows with the position.

Channel i is paired with channel i + head / 2 (the layout of GPT-NeoX and Llama). The table is made for the length at hand
and kept, so any length works.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

BASE = 10000.0


class Rotary(nn.Module):
    """Turn `Float[batch heads length head]`; q . k then depends on positions through their difference alone."""

    def __init__(self, head: int) -> None:
        super().__init__()
        self.head = head
        self._table: tuple[Tensor, Tensor] | None = None

    def forward(self, x: Float[Tensor, "batch heads length head"]) -> Float[Tensor, "batch heads length head"]:
        cosine, sine = self._waves(x)
        first, second = x.chunk(2, dim=-1)
        return torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)

    def _waves(self, x: Tensor) -> tuple[Tensor, Tensor]:
        length = x.shape[-2]
        table = self._table
        if table is None or table[0].shape[0] < length or table[0].device != x.device or table[0].dtype != x.dtype:
            pairs = torch.arange(0, self.head, 2, device=x.device, dtype=torch.float64)
            angle = torch.arange(length, device=x.device, dtype=torch.float64)[:, None] * BASE ** (-pairs / self.head)
            table = self._table = (angle.cos().to(x.dtype), angle.sin().to(x.dtype))
        return table[0][:length], table[1][:length]
