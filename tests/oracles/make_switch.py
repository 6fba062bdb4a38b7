"""Writes switch.npz: transformers' SwitchTransformersSparseMLP in evaluation, with and without dropped tokens, in float64.

    python tests/oracles/make_switch.py      # where transformers 5.24.0 is installed

Its capacity is per sequence; in training its router changes its own input, so evaluation is what can be compared.
"""

from pathlib import Path

import numpy as np
import torch
from transformers.models.switch_transformers.configuration_switch_transformers import SwitchTransformersConfig
from transformers.models.switch_transformers.modeling_switch_transformers import (
    SwitchTransformersSparseMLP,
    load_balancing_loss_func,
    router_z_loss_func,
)

WIDTH, HIDDEN, EXPERTS, BATCH, LENGTH = 12, 20, 4, 3, 24
kept = {}
for name, capacity in {"all": LENGTH, "few": 6}.items():
    torch.manual_seed(0)
    config = SwitchTransformersConfig(
        d_model=WIDTH,
        d_ff=HIDDEN,
        num_experts=EXPERTS,
        expert_capacity=capacity,
        dense_act_fn="gelu",
        dropout_rate=0.0,
    )
    layer = SwitchTransformersSparseMLP(config).double().eval()
    layer.router.dtype = torch.float64  # its configuration allows no more than float32
    x = torch.randn(BATCH, LENGTH, WIDTH, dtype=torch.float64, requires_grad=True)
    y = layer(x)
    seed = torch.randn_like(y)
    served, gate, logits = layer.router(x)
    chances = logits.softmax(-1)
    balance, z = load_balancing_loss_func(chances, chances.argmax(-1)), router_z_loss_func(logits)
    router, experts = layer.router.classifier.weight, [layer.experts[f"expert_{e}"] for e in range(EXPERTS)]
    into, out = [e.wi.weight for e in experts], [e.wo.weight for e in experts]
    of_balance, of_z = (torch.autograd.grad(loss, router, retain_graph=True)[0] for loss in (balance, z))
    (y * seed).sum().backward()
    values = {"router": router, "into": torch.stack(into), "out": torch.stack(out), "x": x, "y": y, "seed": seed}
    values |= {"served": served, "gate": gate, "logits": logits, "balance": balance, "z": z}
    values |= {"gradient router": router.grad, "gradient x": x.grad, "gradient balance": of_balance, "gradient z": of_z}
    values |= {"gradient into": torch.stack([w.grad for w in into]), "gradient out": torch.stack([w.grad for w in out])}
    kept |= {f"{name} {key}": value.detach().numpy() for key, value in values.items()}
    print(name, int((served.sum(-1) == 0).sum()), "tokens dropped")
np.savez_compressed(Path(__file__).with_name("switch.npz"), **kept)
