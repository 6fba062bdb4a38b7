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
    """log P_v = logsumexp_j(a_jv), with a_jv = log pi_j + logits_jv - logsumexp_u(logits_ju), in fp32 at least.

    With g = dL/dlog P and the responsibility r_jv = exp(a_jv - log P_v): dL/dlog pi_j = sum_v g_v r_jv =: G_j, and
    dL/dlogits_jv = g_v r_jv - G_j softmax(logits_j)_v.
    """

    @staticmethod
    def forward(
        ctx: Any, logits: Float[Tensor, "rows components vocab"], prior: Float[Tensor, "rows components"]
    ) -> Float[Tensor, "rows vocab"]:
        size = _together(logits)
        total, offset = [], []
        for some, of_them in zip(logits.split(size), prior.split(size), strict=True):
            some = some.to(prior.dtype)
            offset.append(of_them - some.logsumexp(-1))
            total.append((some + offset[-1][..., None]).logsumexp(1))
        mixed, shift = torch.cat(total), torch.cat(offset)
        ctx.save_for_backward(logits, prior, shift, mixed)
        return mixed

    @staticmethod
    def backward(ctx: Any, gradient: Float[Tensor, "rows vocab"]) -> tuple[Tensor, Tensor]:
        logits, prior, shift, mixed = ctx.saved_tensors
        size = _together(logits)
        of_logits, of_prior = torch.empty_like(logits), torch.empty_like(prior)
        pieces = (part.split(size) for part in (logits, prior, shift, mixed, gradient, of_logits, of_prior))
        for some, log_pi, offset, log_p, g, out, out_prior in zip(*pieces, strict=True):
            joint = (some.to(prior.dtype) + offset[..., None]).sub_(log_p[:, None]).exp_()  # responsibilities
            owed = joint.mul_(g[:, None]).sum(-1)
            joint.sub_((some + (offset - log_pi)[..., None]).exp_().mul_(owed[..., None]))
            out.copy_(joint)
            out_prior.copy_(owed)
        return of_logits, of_prior


def _together(logits: Float[Tensor, "rows components vocab"]) -> int:
    """Rows that are worked on together."""
    rows, components, vocab = logits.shape
    return max(1, CACHED // (components * vocab)) if logits.device.type == "cpu" else rows
