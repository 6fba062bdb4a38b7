"""Lightweight and dynamic convolution as fairseq defines them (Wu et al. 2019, arXiv:1901.10430), written from the definition.

Its forms: the filter as a grouped convolution, a product with unfolded windows, and a product with a matrix of length x length
in which the filters are a band; and the grouped convolution with a filter for each channel, which is not its own but faster.
The rest of the model is ours in plain torch, without positions: pre-norm residual parts, GELU, nothing of the original's bias.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTH, HEADS, VOCAB = 256, 8, 256
KERNELS = (3, 7, 15, 31)
SHARE = WIDTH // HEADS


class Lightweight(nn.Module):
    def __init__(self, kernel: int, form: str) -> None:
        super().__init__()
        self.kernel, self.form = kernel, form
        self.into, self.out = nn.Linear(WIDTH, 2 * WIDTH, bias=False), nn.Linear(WIDTH, WIDTH, bias=False)
        self.weight = nn.Parameter(torch.randn(HEADS, kernel))

    def forward(self, x: Tensor) -> Tensor:
        x = F.glu(self.into(x), dim=-1)
        batch, length, width = x.shape
        taps = self.weight.softmax(-1)
        if self.form == "grouped":  # channel c has the filter of head c mod HEADS
            rows = x.transpose(1, 2).reshape(-1, HEADS, length)
            y = F.conv1d(rows, taps[:, None], padding=self.kernel - 1, groups=HEADS)[..., :length]
            return self.out(y.reshape(batch, width, length).transpose(1, 2))
        if self.form == "each channel":
            each = taps.repeat_interleave(SHARE, dim=0)[:, None]
            y = F.conv1d(x.transpose(1, 2), each, padding=self.kernel - 1, groups=width)[..., :length]
            return self.out(y.transpose(1, 2))
        taps = taps.expand(length * batch, HEADS, self.kernel)
        return self.out(FORMS_OF_PRODUCT[self.form](x.transpose(0, 1), taps.reshape(length, batch * HEADS, self.kernel)))


class Dynamic(nn.Module):
    def __init__(self, kernel: int, form: str) -> None:
        super().__init__()
        self.kernel, self.form = kernel, form
        self.into, self.out = nn.Linear(WIDTH, 2 * WIDTH, bias=False), nn.Linear(WIDTH, WIDTH, bias=False)
        self.taps = nn.Linear(WIDTH, HEADS * kernel, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = F.glu(self.into(x), dim=-1).transpose(0, 1)
        taps = self.taps(x).reshape(x.shape[0], -1, self.kernel).softmax(-1)
        return self.out(FORMS_OF_PRODUCT[self.form](x, taps))


def unfolded(x: Tensor, taps: Tensor) -> Tensor:
    """x [length batch width], taps [length batch*heads kernel] -> [batch length width]."""
    (length, batch, width), kernel = x.shape, taps.shape[-1]
    windows = F.pad(x, (0, 0, 0, 0, kernel - 1, 0)).unfold(0, kernel, 1)
    y = torch.bmm(windows.reshape(length * batch * HEADS, SHARE, kernel), taps.to(x.dtype).reshape(-1, kernel, 1))
    return y.view(length, batch, width).transpose(0, 1)


def banded(x: Tensor, taps: Tensor) -> Tensor:
    (length, batch, width), kernel = x.shape, taps.shape[-1]
    rows = x.reshape(length, batch * HEADS, SHARE).transpose(0, 1)
    wide = length + kernel - 1
    band = x.new_zeros(batch * HEADS, length, wide)
    band.as_strided((batch * HEADS, length, kernel), (length * wide, wide + 1, 1)).copy_(taps.transpose(0, 1))
    y = torch.bmm(band.narrow(2, kernel - 1, length), rows)
    return y.transpose(0, 1).reshape(length, batch, width).transpose(0, 1)


FORMS_OF_PRODUCT = {"unfolded": unfolded, "band": banded}


class Model(nn.Module):
    def __init__(self, kind: type[nn.Module], form: str) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(VOCAB, WIDTH), nn.Linear(WIDTH, VOCAB, bias=False)
        self.mixers = nn.ModuleList(kind(kernel, form) for kernel in KERNELS)
        self.channels = nn.ModuleList(
            nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH, bias=False), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH, bias=False))
            for _ in KERNELS
        )
        self.norms = nn.ModuleList(nn.RMSNorm(WIDTH, eps=1e-6) for _ in range(2 * len(KERNELS) + 1))

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens)
        for layer, (mixer, channel) in enumerate(zip(self.mixers, self.channels, strict=True)):
            x = x + mixer(self.norms[2 * layer](x))
            x = x + channel(self.norms[2 * layer + 1](x))
        return self.head(self.norms[-1](x))


PEERS: dict[str, dict[str, Callable[[], nn.Module]]] = {
    "lightweight_convolution": {
        f"fairseq {form}": lambda form=form: Model(Lightweight, form)
        for form in ("grouped", "unfolded", "band", "each channel")
    },
    "dynamic_convolution": {f"fairseq {form}": lambda form=form: Model(Dynamic, form) for form in ("unfolded", "band")},
}
