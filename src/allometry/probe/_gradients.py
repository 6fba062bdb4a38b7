"""How much each input moves the last output, by how far back it lies."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from allometry.flow import Refusal
from allometry.model.blocks._linear import OneHot, Reading

READERS = (nn.Embedding, OneHot, Reading)  # what turns an input into numbers that have a gradient
# Random directions of the output: their mean square is that of the whole Jacobian, to 1 / sqrt(PROBES * sequences).
PROBES = 4


def norms_by_lag(
    model: nn.Module, inputs: tuple[Tensor, ...], layer: str | None = None, seed: int = 0
) -> Float[np.ndarray, "units batch lags"]:
    """|d out_t / d in_{t - lag}| of the last position t: of each unit of a layer, or of the whole as one unit."""
    parts = dict(model.named_modules())
    if layer is not None and layer not in parts:
        raise Refusal(f"{type(model).__name__} has no part '{layer}'. It has: {', '.join(filter(None, parts))}.")
    seen: dict[str, Tensor] = {}

    def enters(part: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
        seen["in"] = given[0].detach().requires_grad_()
        return (seen["in"], *given[1:])

    def leaves(part: nn.Module, given: tuple[Any, ...], out: Any) -> Any:
        seen["out"] = out[0] if isinstance(out, tuple) else out

    def is_read(part: nn.Module, given: tuple[Any, ...], out: Tensor) -> Tensor:
        if "in" in seen:  # what reads later is a part of the model
            return out
        seen["in"] = out.detach().requires_grad_()
        return seen["in"]

    hooks = []
    if layer is not None:
        hooks = [parts[layer].register_forward_pre_hook(enters), parts[layer].register_forward_hook(leaves)]
    elif inputs[0].is_floating_point():
        inputs = (inputs[0].detach().requires_grad_(), *inputs[1:])
        seen["in"] = inputs[0]
    else:
        hooks = [part.register_forward_hook(is_read) for part in parts.values() if isinstance(part, READERS)]
    trained = model.training
    try:
        # cuDNN has no derivative of a recurrence that evaluates
        with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
            out = model.eval()(*inputs)
    finally:
        model.train(trained)
        for hook in hooks:
            hook.remove()
    if layer is None:
        out = out[0] if isinstance(out, tuple) else getattr(out, "logits", out)
        seen["out"] = out
    if "in" not in seen or seen["out"].ndim < 2:
        raise Refusal(
            "No embedding was met on the way. Give numbers as inputs, or name the layer that reads them: layer='lstm'."
        )
    out = seen["out"] if seen["out"].ndim == 2 else seen["out"][:, -1]  # [batch units]
    if layer is not None:
        heads = torch.eye(out.shape[1], dtype=out.dtype, device=out.device)[:, None].expand(-1, len(out), -1)
    else:
        draws = torch.Generator().manual_seed(seed)
        heads = torch.randn(PROBES, *out.shape, generator=draws).to(out)
    squares = []
    for head in heads:
        (gradient,) = torch.autograd.grad(out, seen["in"], head, retain_graph=True)
        squares.append(gradient.detach().double().square().flatten(2).sum(-1).flip(1))
    units = torch.stack(squares) if layer is not None else torch.stack(squares).mean(0, keepdim=True)
    return units.sqrt().cpu().numpy()
