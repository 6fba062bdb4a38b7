"""Switch layer (Fedus, Zoph, Shazeer 2021, arXiv:2101.03961): experts in place of the feed-forward part, one for each token.

What is counted is what a token meets: the router and one expert. Departs from the original, and from mesh's code, in this:

- Evaluation drops no token (there the capacity is 2.0 times the even share), so that examples do not mix.
- The last group of a batch may be shorter than the others, and padding of a source has no place in any.

In training a group runs across the sequences of a batch, in their order: a token may lose its place to an earlier one, of its
own sequence or of one before it, never to a later one. So the parts of a batch are not the whole, and results depend on the
order of its sequences.

The experts stand in two tensors. Tokens are sorted by expert once, so that each expert has one slice and two products.
"""

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from allometry.model.blocks._block import SEQUENCE, Block, Cost, spread
from allometry.model.blocks._linear import Linear, product

FEWEST = 4  # places that every expert has in a group


class Switch(Block):
    """p = softmax(W_r x) in fp32; i = argmax_e p_e; y = p_i FFN_i(x), FFN_e(x) = GELU(x W_in,e) W_out,e, no biases.

    In training the router sees x * u, u uniform within 1 +- jitter, and an expert has in each group of tokens
    max(min(group, floor(group * capacity / experts)), 4) places: those who come too late get y = 0.

    Added to the objective: balance * experts * sum_e f_e P_e, where f_e is the share of a group's tokens that choose e (before
    any is dropped) and P_e their mean p_e; and z * mean (logsumexp of the router's logits)^2.

    Parameters experts * 2 * width * hidden + width * experts, of which a token meets 2 * width * hidden + width * experts.
    FLOPs per token 2 * width * experts + 4 * width * hidden.
    """

    reads: ClassVar[str] = SEQUENCE  # but nothing of other positions, save for who comes first and, in an encoder, who is padding

    hidden: int
    experts: int = 8
    capacity: float = 1.25
    group: int = 1024  # tokens
    jitter: float = 1e-2
    balance: float = 1e-2
    z: float = 0.0

    def build(self, outputs: int) -> nn.Module:
        return _Switch(self, outputs)

    def places(self, tokens: int) -> int:
        """Tokens of a group of so many that one expert may have, in training.

        >>> switch = Switch(width=8, hidden=32)
        >>> switch.places(1024), switch.places(16), switch.places(3)
        (160, 4, 4)
        """
        return max(min(tokens, int(tokens * self.capacity / self.experts)), FEWEST)

    def cost(self, length: int, memory: int = 0) -> Cost:
        expert, router = 2 * self.width * self.hidden, self.width * self.experts
        return Cost(
            parameters=self.experts * expert + router,
            flops=2 * (expert + router) * length,
            idle=(self.experts - 1) * expert,
        )


class _Switch(nn.Module):
    def __init__(self, spec: Switch, outputs: int) -> None:
        super().__init__()
        self.spec = spec
        self.router = Linear(spec.width, spec.experts)
        self.into = nn.Parameter(torch.empty(spec.experts, spec.hidden, spec.width))
        self.out = nn.Parameter(torch.empty(spec.experts, spec.width, spec.hidden))
        spread(self.router.weight, spec.width)
        spread(self.into, spec.width)
        spread(self.out, spec.hidden, outputs)
        self.objective: Tensor | float = 0.0  # of the last forward

    def forward(
        self, x: Float[Tensor, "batch length width"], keep: Bool[Tensor, "batch length"] | None = None
    ) -> Float[Tensor, "batch length width"]:
        rows = x.flatten(0, 1)
        kept = None if keep is None else keep.flatten()
        logits = self._logits(rows)
        chances = logits.softmax(-1)
        gate, chosen = chances.max(-1)
        self.objective = self._objective(logits, chances, chosen, kept)
        if x.device.type == "meta":  # where no token can choose: every expert costs the same
            return (_expert(rows, self.into[0], self.out[0]) * gate[:, None]).view(x.shape)
        places, counts = self._places(chosen, kept)
        given = _Take.apply(rows, places)
        slices = zip(given.split(counts), self.into.unbind(), self.out.unbind(), strict=True)
        answers = torch.cat([_expert(*some) for some in slices if len(some[0])] or [given])
        answers = answers * gate[places, None].to(answers.dtype)
        return _put(answers, places, len(rows)).view(x.shape)

    def auxiliary_loss(self) -> Tensor | float:
        """What the last forward adds to the objective."""
        return self.objective

    def idle_parameters(self) -> int:
        """Those of the experts that a token does not meet."""
        return (self.spec.experts - 1) * 2 * self.spec.width * self.spec.hidden

    def _logits(self, rows: Float[Tensor, "tokens width"]) -> Float[Tensor, "tokens experts"]:
        """In fp32 at least, also under autocast."""
        device = rows.device.type if rows.device.type != "meta" else "cpu"  # autocast knows no meta
        with torch.autocast(device, enabled=False):
            rows = rows.to(torch.promote_types(rows.dtype, torch.float32))
            if self.training and self.spec.jitter:
                rows = rows * torch.empty_like(rows).uniform_(1 - self.spec.jitter, 1 + self.spec.jitter)
            return self.router(rows)  # type: ignore[no-any-return]

    def _objective(
        self,
        logits: Float[Tensor, "tokens experts"],
        chances: Float[Tensor, "tokens experts"],
        chosen: Int[Tensor, " tokens"],
        kept: Bool[Tensor, " tokens"] | None,
    ) -> Tensor:
        """Mean over the groups, by their tokens."""
        weight = torch.ones_like(chances[:, :1]) if kept is None else kept[:, None].to(chances.dtype)
        choices = F.one_hot(chosen, self.spec.experts).to(chances.dtype)
        groups = zip(*((part * weight).split(self.spec.group) for part in (choices, chances)), weight.split(self.spec.group))
        total = weight.sum().clamp_min(1)
        even = sum((f.sum(0) * p.sum(0)).sum() / n.sum().clamp_min(1) for f, p, n in groups) / total
        objective = self.spec.balance * self.spec.experts * even
        if self.spec.z:
            objective = objective + self.spec.z * (logits.logsumexp(-1, keepdim=True).square() * weight).sum() / total
        return objective

    @torch.no_grad()
    def _places(
        self, chosen: Int[Tensor, " tokens"], kept: Bool[Tensor, " tokens"] | None
    ) -> tuple[Int[Tensor, " served"], list[int]]:
        """The tokens that are served, by expert and in their order, and how many each expert has."""
        tokens, size, experts = len(chosen), self.spec.group, self.spec.experts
        if kept is not None:
            chosen = chosen.masked_fill(~kept, experts)
        if not self.training:
            counts = torch.bincount(chosen, minlength=experts).tolist()[:experts]
            return chosen.argsort(stable=True)[: sum(counts)], counts
        groups = -(-tokens // size)
        cell = chosen * groups + torch.arange(tokens, device=chosen.device) // size  # expert by expert, group by group
        order = cell.argsort(stable=True)
        cell, load = cell[order], torch.bincount(cell, minlength=(experts + 1) * groups)
        rank = torch.arange(tokens, device=chosen.device) - (load.cumsum(0) - load)[cell]
        places = [self.spec.places(min(size, tokens - first)) for first in range(0, tokens, size)]
        places = torch.tensor([*places * experts, *[0] * groups], device=chosen.device)
        counts = torch.minimum(load, places).view(-1, groups).sum(1).tolist()[:experts]
        return order[rank < places[cell]], counts


def _expert(
    x: Float[Tensor, "tokens width"], into: Float[Tensor, "hidden width"], out: Float[Tensor, "width hidden"]
) -> Float[Tensor, "tokens width"]:
    return product(F.gelu(product(x, into)), out)


class _Take(torch.autograd.Function):
    """rows[places], where no place comes twice: the gradient is copied to its place, not added."""

    @staticmethod
    def forward(ctx: Any, rows: Float[Tensor, "tokens width"], places: Int[Tensor, " served"]) -> Float[Tensor, "served width"]:
        ctx.save_for_backward(places)
        ctx.tokens = len(rows)
        return rows.index_select(0, places)

    @staticmethod
    def backward(ctx: Any, gradient: Float[Tensor, "served width"]) -> tuple[Tensor, None]:
        (places,) = ctx.saved_tensors
        return _put(gradient, places, ctx.tokens), None


def _put(rows: Float[Tensor, "served width"], places: Int[Tensor, " served"], tokens: int) -> Float[Tensor, "tokens width"]:
    """Rows at their places, zero elsewhere."""
    return rows.new_zeros(tokens, rows.shape[-1]).index_copy(0, places, rows)


def reference(
    layer: _Switch, x: Float[Tensor, "batch length width"], keep: Bool[Tensor, "batch length"] | None = None
) -> Float[Tensor, "batch length width"]:
    """The equation of the class, one token at a time, in their order; without the jitter."""
    spec, rows = layer.spec, x.flatten(0, 1)
    kept = [True] * len(rows) if keep is None else keep.flatten().tolist()
    answers, taken = [], [0] * spec.experts
    for t, row in enumerate(rows):
        if t % spec.group == 0:
            taken = [0] * spec.experts
        chances = (layer.router.weight @ row).softmax(-1)
        e = int(chances.argmax())
        full = layer.training and taken[e] == spec.places(min(spec.group, len(rows) - t + t % spec.group))
        if not kept[t] or full:
            answers.append(torch.zeros_like(row))
        else:
            taken[e] += 1
            answers.append(chances[e] * (layer.out[e] @ F.gelu(layer.into[e] @ row)))
    return torch.stack(answers).view(x.shape)
