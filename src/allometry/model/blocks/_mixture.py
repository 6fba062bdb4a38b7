"""The head of a mixture of softmaxes (Yang et al. 2017, arXiv:1711.03953).

Its numbers are components times those of a softmax: [batch length components vocab]. They are made once and kept in the
precision of the product, with nothing else of their size; beyond `KEPT` of them, positions go a share at a time and are made
anew in the backward pass.
"""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from allometry.model.blocks._block import spread
from allometry.model.blocks._linear import Linear

KEPT = 1 << 28  # logits of all components that are kept for the backward pass: 1 GB in fp32
LEAST = -60.0  # log P that is divided by; fp32 ends at -87
CACHED = 1 << 18  # of them worked on together on CPU, so that they stay in its cache


class MixtureOfSoftmaxes(nn.Module):
    """log sum_j pi_j softmax(tanh(W_j h) E^T), with pi = softmax(W_pi h); no biases."""

    def __init__(self, width: int, components: int, vocab: int) -> None:
        super().__init__()
        self.prior = Linear(width, components)
        self.latent = Linear(width, components * width)
        self.output = Linear(width, vocab)
        spread(self.prior.weight, width)
        spread(self.latent.weight, width)

    def forward(self, h: Float[Tensor, "batch length width"]) -> Float[Tensor, "batch length vocab"]:
        rows = h.flatten(0, 1)
        shares = math.ceil(len(rows) * self.prior.out_features * self.output.out_features / KEPT)
        if shares > 1 and torch.is_grad_enabled():
            parts = [checkpoint(self._rows, some, use_reentrant=False) for some in rows.chunk(shares)]
        else:
            parts = [self._rows(some) for some in rows.chunk(shares)]
        return torch.cat(parts).unflatten(0, h.shape[:2]) if len(parts) > 1 else parts[0].unflatten(0, h.shape[:2])

    def _rows(self, h: Float[Tensor, "rows width"]) -> Float[Tensor, "rows vocab"]:
        logits = self.output(torch.tanh(self.latent(h)).unflatten(-1, (-1, h.shape[-1])))
        prior = self.prior(h)
        prior = prior.to(torch.promote_types(prior.dtype, torch.float32)).log_softmax(-1)
        return _Mixture.apply(logits, prior)  # type: ignore[no-any-return]


class _Mixture(torch.autograd.Function):
    """log P_v with P_v = sum_j pi_j p_jv and p_j = softmax_v(logits_j), in fp32 at least.

    With g = dL/dlog P and the responsibility r_jv = pi_j p_jv / P_v: dL/dlog pi_j = sum_v g_v r_jv =: G_j, and
    dL/dlogits_jv = g_v r_jv - G_j p_jv. Where a P_v is too small to divide by, and on GPUs, which must not wait to be asked,
    r_jv = exp(log pi_j + log p_jv - log P_v): twice the exponentials, and most of the time.
    """

    @staticmethod
    def forward(
        ctx: Any, logits: Float[Tensor, "rows components vocab"], prior: Float[Tensor, "rows components"]
    ) -> Float[Tensor, "rows vocab"]:
        size = _together(logits)
        pieces = zip(logits.split(size), prior.split(size), strict=True)
        mixed = torch.cat([_mixed(some.to(prior.dtype), of_them) for some, of_them in pieces])
        ctx.save_for_backward(logits, prior, mixed)
        return mixed

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Float[Tensor, "rows vocab"]) -> tuple[Tensor, Tensor]:
        logits, prior, mixed = ctx.saved_tensors
        size = _together(logits)
        of_logits, of_prior = torch.empty_like(logits), torch.empty_like(prior)
        pieces = (part.split(size) for part in (logits, prior, mixed, gradient, of_logits, of_prior))
        for some, log_pi, log_p, g, out, out_prior in zip(*pieces, strict=True):
            some = some.to(prior.dtype)
            if _dividable(log_p):
                of_all, pi, softmax = g / log_p.exp(), log_pi.exp(), some.softmax(-1)
                owed = pi * torch.bmm(softmax, of_all[..., None])[..., 0]
                out.copy_((pi[..., None] * of_all[:, None]).sub_(owed[..., None]).mul_(softmax))
            else:
                weighted = (_joint(some, log_pi) - log_p[:, None]).exp_().mul_(g[:, None])
                owed = weighted.sum(-1)
                out.copy_(weighted.sub_(some.softmax(-1).mul_(owed[..., None])))
            out_prior.copy_(owed)
        return of_logits, of_prior


def _mixed(
    logits: Float[Tensor, "rows components vocab"], prior: Float[Tensor, "rows components"]
) -> Float[Tensor, "rows vocab"]:
    """log P."""
    if logits.device.type == "cpu":
        with torch.autocast("cpu", enabled=False):  # it would round the product
            mixed = torch.bmm(prior.exp()[:, None], logits.softmax(-1))[:, 0].log_()
        if _dividable(mixed):
            return mixed
    return _joint(logits, prior).logsumexp(1)


def _joint(
    logits: Float[Tensor, "rows components vocab"], prior: Float[Tensor, "rows components"]
) -> Float[Tensor, "rows components vocab"]:
    """log pi_j + log p_jv."""
    return logits + (prior - logits.logsumexp(-1))[..., None]


def _dividable(mixed: Float[Tensor, "rows vocab"]) -> bool:
    """Whether all P are far from underflow; asked on CPU alone."""
    return mixed.device.type == "cpu" and bool(mixed.min() > LEAST)


def _together(logits: Float[Tensor, "rows components vocab"]) -> int:
    """Rows that are worked on together."""
    rows, components, vocab = logits.shape
    return max(1, CACHED // (components * vocab)) if logits.device.type == "cpu" else rows
