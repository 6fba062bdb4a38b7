"""Write mamba2.npz: what the Mamba-2 of transformers gives, with its weights and gradients, in float64.

    pip install transformers==5.24.0 && python tests/oracles/make_mamba2.py

`scan` is its chunked state space alone, as it is. `mixer` is its whole part, with one change: what enters the state is scaled
by (1 - exp(-delta rate)) / (delta rate), as our step holds the input still and theirs multiplies it by delta. (The skip is
added outside of the scan then, to what is not scaled.) Theirs computes in fp32 inside; here the names of
that type mean float64.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from transformers import Mamba2Config
from transformers.models.mamba2 import modeling_mamba2
from transformers.models.mamba2.modeling_mamba2 import Mamba2Mixer, mamba2_chunk_scan

WIDTH, HEADS, HEAD, STATE, LENGTH, BATCH, CHUNK = 8, 2, 8, 6, 150, 2, 16


def scan(x, step, rates, write, read, **rest):
    return mamba2_chunk_scan(x, step, -rates, write, read, chunk_size=CHUNK, dt_softplus=True, **rest)


def held(x, step, rates, write, read, chunk_size, D, dt_bias, **_):  # noqa: N803
    """Their scan with our step, called as theirs is: `rates` are negative, `step` is before its bias and softplus."""
    decay = rates * F.softplus(step + dt_bias)
    scaled = x * (torch.expm1(decay) / decay)[..., None]
    return scan(scaled, step, -rates, write, read, dt_bias=dt_bias) + D[:, None] * x


def main() -> None:
    torch.set_default_dtype(torch.float64)
    torch.Tensor.float, torch.float32 = torch.Tensor.double, torch.float64
    torch.manual_seed(7)
    arrays: dict[str, torch.Tensor] = {}

    given = {
        "x": torch.randn(BATCH, LENGTH, HEADS, HEAD),
        "step": torch.randn(BATCH, LENGTH, HEADS),
        "rates": torch.tensor([0.3, 2.0]),
        "write": torch.randn(BATCH, LENGTH, STATE),
        "read": torch.randn(BATCH, LENGTH, STATE),
        "skip": torch.randn(HEADS),
    }
    leaves = {name: part.requires_grad_() for name, part in given.items()}
    x, step, rates, write, read, skip = leaves.values()
    out = scan(x, step, rates, write[:, :, None], read[:, :, None], D=skip)
    seed = torch.randn(out.shape)
    gradients = torch.autograd.grad(out, list(leaves.values()), seed)
    arrays |= {f"scan.{name}": part for name, part in leaves.items()} | {"scan.seed": seed, "scan.out": out}
    arrays |= {f"scan.of_{name}": part for name, part in zip(leaves, gradients, strict=True)}

    config = Mamba2Config(
        hidden_size=WIDTH,
        expand=2,
        num_heads=HEADS,
        head_dim=HEAD,
        state_size=STATE,
        n_groups=1,
        chunk_size=CHUNK,
        layer_norm_epsilon=1e-6,
        num_hidden_layers=1,
    )
    mixer = Mamba2Mixer(config, layer_idx=0)
    for parameter in mixer.parameters():
        torch.nn.init.normal_(parameter, std=0.5)

    mixer.eval()
    modeling_mamba2.mamba2_chunk_scan = held
    x = torch.randn(BATCH, LENGTH, WIDTH, requires_grad=True)
    out = mixer(x)
    seed = torch.randn(out.shape)
    names, parameters = zip(*mixer.named_parameters(), strict=True)
    gradients = torch.autograd.grad(out, [x, *parameters], seed)
    arrays |= {"mixer.x": x, "mixer.seed": seed, "mixer.out": out, "mixer.of_x": gradients[0]}
    arrays |= {f"mixer.{name}": part for name, part in zip(names, parameters, strict=True)}
    arrays |= {f"mixer.of_{name}": part for name, part in zip(names, gradients[1:], strict=True)}
    kept = {name: part.detach().numpy() for name, part in arrays.items()}
    np.savez_compressed(Path(__file__).with_name("mamba2.npz"), **kept)


if __name__ == "__main__":
    main()
