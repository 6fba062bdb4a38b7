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
from allometry.model.blocks._linear import Linear, bf16_kernel_is_fast, unrounded
from allometry.model.gates.equations import output_gating

FEWEST = 4  # places that every expert has in a group


class Switch(Block):
    """p = softmax(W_r x) in fp32; i = argmax_e p_e; y = p_i FFN_i(x), FFN_e(x) = GELU(x W_in,e) W_out,e, no biases.

    Output gating by p_i; of the experts that were not chosen, by a gate that is exactly 0.

    In training the router sees x * u, u uniform within 1 +- jitter, and an expert has in each group of tokens
    max(min(group, floor(group * capacity / experts)), 4) places: those who come too late get y = 0.

    Added to the objective: balance * experts * sum_e f_e P_e, where f_e is the share of a group's tokens that choose e (before
    any is dropped) and P_e their mean p_e; and z * mean (logsumexp of the router's logits)^2.

    Parameters experts * 2 * width * hidden + width * experts, of which a token meets 2 * width * hidden + width * experts.
    FLOPs per token 2 * width * experts + 4 * width * hidden.
    """

    reads: ClassVar[str] = (
        SEQUENCE  # but nothing of other positions, save for who comes first and, in an encoder, who is padding
    )

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
            return output_gating(gate[:, None], F.gelu(rows @ self.into[0].T) @ self.out[0].T).view(x.shape)
        places, counts = self._places(chosen, kept)
        device = x.device.type
        kind = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
        return _Experts.apply(rows, gate, self.into, self.out, places, counts, kind).view(x.shape)  # type: ignore[no-any-return]

    def auxiliary_loss(self) -> Tensor | float:
        """What the last forward adds to the objective."""
        return self.objective

    def idle_parameters(self) -> int:
        """Those of the experts that a token does not meet."""
        return (self.spec.experts - 1) * 2 * self.spec.width * self.spec.hidden

    def _logits(self, rows: Float[Tensor, "tokens width"]) -> Float[Tensor, "tokens experts"]:
        """In fp32 at least, also under autocast."""
        with unrounded(rows):
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
        parts = (choices * weight, chances * weight, weight)
        groups = zip(*(part.split(self.spec.group) for part in parts), strict=True)
        total = weight.sum().clamp_min(1)
        even = sum((f.sum(0) * p.sum(0)).sum() / n.sum().clamp_min(1) for f, p, n in groups) / total
        objective = self.spec.balance * self.spec.experts * even
        if self.spec.z:
            objective = objective + self.spec.z * (logits.logsumexp(-1, keepdim=True).square() * weight).sum() / total
        return objective

    def __getstate__(self) -> dict[str, Any]:
        """Without the last forward's graph, which cannot be copied."""
        return self.__dict__ | {"objective": 0.0}

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


class _Experts(torch.autograd.Function):
    """gate * FFN_e(rows) at the places of each expert e, zero elsewhere.

    One pass over the experts each way, into tensors made once, without joining slices and gradients; GELU is made again in
    the backward pass, in the cache. `kind` is what products are rounded to; gradients of the weights are not.
    """

    @staticmethod
    def forward(
        ctx: Any,
        rows: Float[Tensor, "tokens width"],
        gate: Float[Tensor, " tokens"],
        into: Float[Tensor, "experts hidden width"],
        out: Float[Tensor, "experts width hidden"],
        places: Int[Tensor, " served"],
        counts: list[int],
        kind: torch.dtype,
    ) -> Float[Tensor, "tokens width"]:
        ctx.counts, ctx.work = counts, _work(rows.device.type, kind)
        given = rows.index_select(0, places).to(kind)
        before, answers = given.new_empty(len(places), into.shape[1]), torch.empty_like(given)
        room = given.new_empty(max(counts), into.shape[1])  # of one expert, again and again: it stays in the cache
        with torch.autocast(rows.device.type, enabled=False):
            pieces = zip(*(part.split(counts) for part in (given, before, answers)), into, out, strict=True)
            for x, pre, y, w_into, w_out in pieces:
                _multiply(x, w_into.to(kind).to(ctx.work).T, pre)
                _multiply(torch.ops.aten.gelu.out(pre, out=room[: len(pre)]), w_out.to(kind).to(ctx.work).T, y)
        ctx.save_for_backward(gate, into, out, places, given, before, answers)
        ctx.like = rows.dtype
        return _put(output_gating(gate[places, None].to(kind), answers), places, len(rows))

    @staticmethod
    def backward(ctx: Any, gradient: Float[Tensor, "tokens width"]) -> tuple[Tensor | None, ...]:
        gate, into, out, places, given, before, answers = ctx.saved_tensors
        kind = given.dtype
        gradient = gradient.index_select(0, places)
        of_gate = torch.zeros_like(gate).index_copy(0, places, (gradient * answers).sum(-1, dtype=gate.dtype))
        gradient = (gradient * gate[places, None]).to(kind)
        of_given, of_into, of_out = torch.empty_like(given), torch.empty_like(into), torch.empty_like(out)
        rooms = [before.new_empty(max(ctx.counts), before.shape[1]) for _ in range(2)]
        with torch.autocast(given.device.type, enabled=False):
            slices = (part.split(ctx.counts) for part in (gradient, given, before, of_given))
            pieces = zip(*slices, into, out, of_into, of_out, strict=True)
            for g, x, pre, of_x, w_into, w_out, of_w_into, of_w_out in pieces:
                one, other = (room[: len(g)] for room in rooms)
                g = g.to(ctx.work)
                _multiply(g.T, torch.ops.aten.gelu.out(pre, out=one), of_w_out)
                _multiply(g, w_out.to(kind).to(ctx.work), one)
                of_pre = torch.ops.aten.gelu_backward.grad_input(one, pre, grad_input=other).to(ctx.work)
                _multiply(of_pre.T, x, of_w_into)
                _multiply(of_pre, w_into.to(kind).to(ctx.work), of_x)
        return _put(of_given.to(ctx.like), places, len(gate)), of_gate, of_into, of_out, None, None, None


def _work(device: str, kind: torch.dtype) -> torch.dtype:
    """What kernels read: fp32, on the rounded numbers, on a CPU whose bf16 kernels are slow (`_linear` says why)."""
    slow = device == "cpu" and kind == torch.bfloat16 and not bf16_kernel_is_fast()
    return torch.float32 if slow else kind


def _multiply(a: Float[Tensor, "rows inner"], b: Float[Tensor, "inner columns"], out: Float[Tensor, "rows columns"]) -> None:
    """out <- a b, in the wider of their types."""
    wide = torch.promote_types(a.dtype, b.dtype)
    if wide == out.dtype:
        torch.mm(a.to(wide), b.to(wide), out=out)
    else:
        out.copy_(a.to(wide) @ b.to(wide))


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
            answers.append(output_gating(chances[e], layer.out[e] @ F.gelu(layer.into[e] @ row)))
    return torch.stack(answers).view(x.shape)
