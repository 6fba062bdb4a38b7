"""Message passing along a sequence: positions are nodes, and edges lead from the past (Battaglia et al. 2018, arXiv:1806.01261).

```text
chain       t receives an edge from the position before it
window:8    and from those up to 8 before it
complete    and from all before it
```

A causal graph has no edge back, so that what is to come moves nothing. Where both sides are seen, edges lead from both. A
position has no edge to itself: the residual stack adds it. The edge's function reads receiver, sender and the edge's attribute,
which is how far apart they are. Messages are brought together by attention that reads the message (Brody et al. 2022,
arXiv:2105.14491, equation 7, with the whole message as value), or by their mean. The node's function is the channel part of the
layer, and there are no globals: a global that is updated would tell each position of those behind it.

All messages are made at once, as one array of [positions, edges, width]: with `complete` that is length^2 width numbers.
"""

import re
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from allometry.flow import Refusal
from allometry.model.blocks._block import SEQUENCE, Block, Cost, check_heads, spread
from allometry.model.blocks._linear import Linear

REDUCERS = ("attention", "mean")


class MessagePassing(Block):
    """m_ts = GELU(W_r x_t + W_s x_s + e_{t-s}); y_t = sum over edges s -> t of share_ts m_ts; out = W_out y.

    Shares are the softmax of a_h . m_ts over the edges of t, for each head h its channels, or all alike. Without edges y = 0. e
    has numbers for each distance of a window; of `complete` they are E [1 / |d|, log |d|], and E sign(d) where both sides are
    seen.

    Parameters 3 width^2 + width heads, and width for each number of an edge (none of heads with the mean). FLOPs per token 6
    width^2 + 2 width edges (1 + heads), with all `length` edges of `complete` charged, causal or not; the sums within a message
    are not.
    """

    reads: ClassVar[str] = SEQUENCE

    heads: int
    edges: str = "window:8"  # chain | window:<positions> | complete
    reduce: str = "attention"  # attention | mean
    causal: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_heads(self)
        if self.edges not in ("chain", "complete") and not re.fullmatch(r"window:[1-9]\d*", self.edges):
            raise Refusal(f"MessagePassing(edges={self.edges!r}) is not known. It is one of: chain, window:8, complete.")
        if self.reduce not in REDUCERS:
            raise Refusal(f"MessagePassing(reduce={self.reduce!r}) is not known. It is one of: {', '.join(REDUCERS)}.")

    @property
    def reach(self) -> int | None:
        """Positions to one side; None: all."""
        if self.edges == "complete":
            return None
        return 1 if self.edges == "chain" else int(self.edges.removeprefix("window:"))

    def build(self, outputs: int) -> nn.Module:
        return _MessagePassing(self, outputs)

    def cost(self, length: int, memory: int = 0) -> Cost:
        edges = length if self.reach is None else self.reach * (1 if self.causal else 2)
        heads = self.heads if self.reduce == "attention" else 0
        per_token = 3 * self.width**2 + edges * self.width * (1 + heads)
        state = self.width * (length if self.reach is None else self.reach)  # what the past has to send
        weights = 3 * self.width**2 + self.width * (heads + self.attributes)
        return Cost(parameters=weights, flops=2 * per_token * length, state=state)

    @property
    def attributes(self) -> int:
        """Vectors that edges are made of."""
        sides = 1 if self.causal else 2
        return 1 + sides if self.reach is None else self.reach * sides


class _MessagePassing(nn.Module):
    def __init__(self, spec: MessagePassing, outputs: int) -> None:
        super().__init__()
        self.reach, self.causal, width = spec.reach, spec.causal, spec.width
        self.heads = spec.heads if spec.reduce == "attention" else 1
        self.receive, self.send, self.out = Linear(width, width), Linear(width, width), Linear(width, width)
        self.edges = nn.Parameter(torch.empty(spec.attributes, width))
        self.logits = Linear(width, spec.heads) if spec.reduce == "attention" else None
        spread(self.receive.weight, 2 * width)
        spread(self.send.weight, 2 * width)
        spread(self.out.weight, width, outputs)
        nn.init.normal_(self.edges, std=0.5)

    def forward(
        self, x: Float[Tensor, "batch length width"], keep: Bool[Tensor, "batch length"] | None = None
    ) -> Float[Tensor, "batch length width"]:
        there = self._there(x, keep)
        of_edges = self._attributes(torch.arange(x.shape[1], device=x.device))
        messages = F.gelu(self.receive(x)[:, :, None] + self._senders(self.send(x)) + of_edges)
        by_head = messages.unflatten(-1, (self.heads, -1)).transpose(2, 3)  # [batch length heads edges channels]
        if self.logits is None:
            shares = there.to(messages.dtype) / there.sum(-1, keepdim=True).clamp(min=1)
        else:
            logits = self.logits(messages).transpose(2, 3)
            shares = logits.masked_fill(~there, torch.finfo(logits.dtype).min).softmax(-1) * there
        return self.out((shares.to(by_head.dtype)[..., None, :] @ by_head).flatten(2))

    def _there(
        self, x: Float[Tensor, "batch length width"], keep: Bool[Tensor, "batch length"] | None
    ) -> Bool[Tensor, "some length 1 edges"]:
        """Where there is an edge: its sender is a position, and no padding."""
        length = x.shape[1]
        kept = torch.ones(1, length, dtype=torch.bool, device=x.device) if keep is None else keep
        found = self._senders(kept[..., None]).squeeze(-1)
        if self.reach is None:
            every = torch.ones(length, length, dtype=torch.bool, device=x.device)
            found = found & (every.tril(-1) if self.causal else ~torch.eye(length, dtype=torch.bool, device=x.device))
        return found[:, :, None]

    def _senders(self, y: Float[Tensor, "some length width"] | Bool[Tensor, "some length width"]) -> Tensor:
        """What the sender of each edge has, [some, length or 1, edges, width], and 0 where it is no position."""
        if self.reach is None:
            return y[:, None]
        reach, length = self.reach, y.shape[1]
        windows = F.pad(y, (0, 0, reach, 0 if self.causal else reach)).unfold(1, reach, 1).mT  # a view of the padded
        before = windows[:, :length]
        return before if self.causal else torch.cat([before, windows[:, reach + 1 :]], 2)

    def _attributes(self, place: Int[Tensor, " length"]) -> Float[Tensor, "*axes edges width"]:
        if self.reach is not None:
            return self.edges
        away = (place[:, None] - place).to(self.edges.dtype)  # from receiver back to sender
        far = away.abs().clamp(min=1)
        numbers = [1 / far, far.log()] if self.causal else [1 / far, far.log(), away.sign()]
        # Pointwise: the attributes are the same for all sequences, and no product of the model.
        return sum(number[..., None] * of for number, of in zip(numbers, self.edges, strict=True))  # type: ignore[return-value]


def reference(
    layer: _MessagePassing, x: Float[Tensor, "batch length width"], keep: Bool[Tensor, "batch length"] | None = None
) -> Float[Tensor, "batch length width"]:
    """The equation of the class, one edge at a time."""
    batch, length, width = x.shape
    share, rows = width // layer.heads, []
    kept = x.new_ones(batch, length) if keep is None else keep.to(x.dtype)
    for t in range(length):
        messages, logits = [], []
        for s in range(length):
            away = t - s
            if away == 0 or (layer.causal and away < 0) or abs(away) > (layer.reach or length):
                continue
            if layer.reach is not None:  # the farthest before, ..., the nearest before, the nearest after, ...
                edge = layer.edges[layer.reach - away if away > 0 else layer.reach - away - 1]
            else:
                far = torch.tensor(float(abs(away)), dtype=x.dtype)
                edge = layer.edges[0] / far + layer.edges[1] * far.log()
                edge = edge if layer.causal else edge + layer.edges[2] * (1 if away > 0 else -1)
            message = F.gelu(x[:, t] @ layer.receive.weight.T + x[:, s] @ layer.send.weight.T + edge)
            score = x.new_zeros(batch, 1) if layer.logits is None else message @ layer.logits.weight.T
            messages.append(message * kept[:, s, None])
            logits.append(score.exp() * kept[:, s, None])
        total = sum(logits) if logits else x.new_ones(batch, 1)
        total = total.where(total > 0, torch.ones_like(total))
        row = x.new_zeros(batch, width)
        for message, one in zip(messages, logits, strict=True):
            row = row + message * (one / total).repeat_interleave(share, 1)
        rows.append(row)
    return torch.stack(rows, dim=1) @ layer.out.weight.T
