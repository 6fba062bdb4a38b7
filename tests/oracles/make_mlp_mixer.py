"""MixerBlock of timm 1.0.31 with gradients. Writes mlp_mixer.npz beside itself. Run it where `timm` is installed."""

from pathlib import Path

import numpy as np
import torch
from timm.models.mlp_mixer import MixerBlock

WIDTH, LENGTH = 12, 20


def main() -> None:
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    block = MixerBlock(WIDTH, LENGTH, mlp_ratio=(0.5, 4.0)).eval()
    kept = {}
    for name, parameter in block.named_parameters():
        scale = 0.3 if parameter.ndim == 1 else 1.5 * parameter.shape[1] ** -0.5
        parameter.data = scale * torch.randn_like(parameter) + (1.0 if name.startswith("norm") and "weight" in name else 0.0)
        kept[f"weight {name}"] = parameter
    x = torch.randn(3, LENGTH, WIDTH, requires_grad=True)
    out = block(x)
    seed = torch.randn_like(out)
    gradients = torch.autograd.grad((out * seed).sum(), [x, *block.parameters()])
    names = ("x", *(name for name, _ in block.named_parameters()))
    kept |= {"x": x, "out": out, "seed": seed}
    kept |= {f"gradient {name}": gradient for name, gradient in zip(names, gradients, strict=True)}
    arrays = {name: tensor.detach().numpy() for name, tensor in kept.items()}
    np.savez_compressed(Path(__file__).with_name("mlp_mixer.npz"), **arrays)


if __name__ == "__main__":
    main()
