"""Write convolution.npz: what espnet's two convolutions give, with their weights, in float64.

    pip install --no-deps espnet==202511 && python tests/oracles/make_convolution.py

Their biases are set to zero, as our layers have none. `lightweight` and `dynamic` are centred; `..._causal` are espnet's
causal forms, which cut the later half of a centred kernel before the softmax: k // 2 + 1 taps are left.
"""

from pathlib import Path

import numpy as np
import torch
from espnet.nets.pytorch_backend.transformer.dynamic_conv import DynamicConvolution
from espnet.nets.pytorch_backend.transformer.lightconv import LightweightConvolution

WIDTH, HEADS, KERNEL, LENGTH, BATCH = 12, 3, 7, 40, 2


def main() -> None:
    arrays: dict[str, np.ndarray] = {"heads": np.array(HEADS), "kernel": np.array(KERNEL)}
    for name, kind in (("lightweight", LightweightConvolution), ("dynamic", DynamicConvolution)):
        for causal in (False, True):
            torch.manual_seed(4)
            layer = kind(HEADS, WIDTH, 0.0, KERNEL, use_kernel_mask=causal).double().eval()
            for key, parameter in layer.named_parameters():
                torch.nn.init.zeros_(parameter) if key.endswith("bias") else torch.nn.init.normal_(parameter, std=0.6)
            x = torch.randn(BATCH, LENGTH, WIDTH, dtype=torch.float64, requires_grad=True)
            seed = torch.randn(BATCH, LENGTH, WIDTH, dtype=torch.float64)
            inside = slice(KERNEL, LENGTH - KERNEL)  # where no tap falls outside
            out = layer(x, x, x, None)
            (out * seed)[:, inside].sum().backward()
            prefix = name + ("_causal" if causal else "")
            arrays |= {
                f"{prefix}.x": x.detach().numpy(),
                f"{prefix}.seed": seed.numpy(),
                f"{prefix}.out": out.detach().numpy(),
            }
            arrays[f"{prefix}.of_x"] = x.grad.numpy()
            for key, parameter in layer.named_parameters():
                if not key.endswith("bias"):
                    arrays[f"{prefix}.{key}"] = parameter.detach().numpy()
                    arrays[f"{prefix}.of_{key}"] = parameter.grad.numpy()
    np.savez_compressed(Path(__file__).with_name("convolution.npz"), **arrays)


if __name__ == "__main__":
    main()
