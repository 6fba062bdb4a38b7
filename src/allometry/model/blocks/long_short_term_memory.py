"""LSTM (Hochreiter and Schmidhuber 1997; forget gate of Gers et al. 2000), by the fused kernel of torch.nn.LSTM or by a loop.

The kernel is faster on CUDA and, by oneDNN, in fp32. Elsewhere on the CPU the loop mostly is (`_long_memory.py` has the times), and
under autocast it keeps the states in fp32: with time scales of 10,000 steps they are 0.3 % off, those of the kernel in bf16 3 %.

The forget gate starts with bias 1 (Jozefowicz et al. 2015). torch.nn.LSTM has two biases per gate; the second is pinned at
zero, as it adds nothing and would double the effective learning rate of the first: it is a buffer, not a parameter.
"""

from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from allometry.model.blocks._block import SEQUENCE, Block, Cost, spread
from allometry.model.blocks._linear import Linear, product, rounds_to_bf16
from allometry.model.blocks._long_memory import long_memory
from allometry.model.gates.equations import output_gating

ONEDNN = torch.backends.mkldnn.is_available()


class LongShortTermMemory(Block):
    """i, f, g, o = W x_t + R h_{t-1} + b; c_t = sigma(f) c_{t-1} + sigma(i) tanh(g); h_t = sigma(o) tanh(c_t); out = h W_out.

    Three output gatings for each unit, by f, i and o; the sums of the gates are ordinary units.
    Parameters 9 width^2 + 4 width. FLOPs per token 18 width^2.
    """

    reads: ClassVar[str] = SEQUENCE

    def build(self, outputs: int) -> nn.Module:
        return _LongShortTermMemory(self, outputs)

    def cost(self, length: int, memory: int = 0) -> Cost:
        square = self.width**2
        return Cost(parameters=9 * square + 4 * self.width, flops=18 * square * length, state=2 * self.width)


class _LongShortTermMemory(nn.Module):
    def __init__(self, spec: LongShortTermMemory, outputs: int) -> None:
        super().__init__()
        width = spec.width
        self.recurrence = one_bias(width, width)
        self.out = Linear(width, width)
        spread(self.out.weight, width, outputs)

    def forward(self, x: Float[Tensor, "batch length width"]) -> Float[Tensor, "batch length width"]:
        return self.out(states(self.recurrence, x))


def one_bias(inputs: int, width: int) -> nn.LSTM:
    """A torch.nn.LSTM of one layer, batch first, with a forget bias of 1 and the second bias pinned at zero."""
    recurrence = nn.LSTM(inputs, width, batch_first=True)
    spread(recurrence.weight_ih_l0, inputs)
    spread(recurrence.weight_hh_l0, width)
    with torch.no_grad():
        recurrence.bias_ih_l0.zero_()[width : 2 * width] = 1.0
    del recurrence.bias_hh_l0
    recurrence.register_buffer("bias_hh_l0", torch.zeros(4 * width))
    recurrence._init_flat_weights()
    return recurrence


def states(recurrence: nn.LSTM, x: Float[Tensor, "batch length inputs"]) -> Float[Tensor, "batch length units"]:
    """All states, by the faster form."""
    return recurrence(x)[0] if _kernel_is_faster(x) else by_loop(recurrence, x)


def _kernel_is_faster(x: Float[Tensor, "batch length inputs"]) -> bool:
    return x.device.type != "cpu" or (ONEDNN and x.dtype == torch.float32 and not rounds_to_bf16())


def by_loop(recurrence: nn.LSTM, x: Float[Tensor, "batch length inputs"]) -> Float[Tensor, "batch length units"]:
    """What `recurrence(x)[0]` is, for one layer in one direction; the states in the precision of the weights."""
    into, bias = recurrence.weight_ih_l0, recurrence.bias_ih_l0 + recurrence.bias_hh_l0
    x = x.transpose(0, 1).contiguous()
    sums = product(x, into).to(bias.dtype) + bias if rounds_to_bf16() else F.linear(x, into, bias)
    return long_memory(sums, recurrence.weight_hh_l0).transpose(0, 1)


def reference(layer: _LongShortTermMemory, x: Float[Tensor, "batch length width"]) -> Float[Tensor, "batch length width"]:
    """The equation of the class, one position at a time."""
    into, recur, bias = layer.recurrence.weight_ih_l0, layer.recurrence.weight_hh_l0, layer.recurrence.bias_ih_l0
    hidden = cell = torch.zeros_like(x[:, 0])
    rows = []
    for t in range(x.shape[1]):
        i, f, g, o = (x[:, t] @ into.T + hidden @ recur.T + bias).chunk(4, dim=-1)
        cell = output_gating(f.sigmoid(), cell) + output_gating(i.sigmoid(), g.tanh())
        hidden = output_gating(o.sigmoid(), cell.tanh())
        rows.append(hidden)
    return torch.stack(rows, dim=1) @ layer.out.weight.T
