"""Writes gated_feed_forward.npz: transformers' T5DenseGatedActDense, its input, output and gradients, in float64.

python tests/oracles/make_gated_feed_forward.py      # where transformers 5.24.0 is installed
"""

from pathlib import Path

import numpy as np
import torch
from transformers.models.t5.configuration_t5 import T5Config
from transformers.models.t5.modeling_t5 import T5DenseGatedActDense

kept = {}
for name, projection in {"gelu": "gated-gelu", "silu": "gated-silu", "relu": "gated-relu"}.items():
    torch.manual_seed(0)
    config = T5Config(d_model=12, d_ff=20, feed_forward_proj=projection, dropout_rate=0.0)
    layer = T5DenseGatedActDense(config).double().eval()
    x = torch.randn(3, 7, 12, dtype=torch.float64, requires_grad=True)
    y = layer(x)
    seed = torch.randn_like(y)
    (y * seed).sum().backward()
    kept |= {f"{name} {key}": value for key, value in layer.state_dict().items()}
    kept |= {f"{name} gradient {key}": p.grad for key, p in layer.named_parameters()}
    kept |= {f"{name} x": x.detach(), f"{name} y": y.detach(), f"{name} seed": seed, f"{name} gradient x": x.grad}
np.savez_compressed(Path(__file__).with_name("gated_feed_forward.npz"), **{k: v.numpy() for k, v in kept.items()})
