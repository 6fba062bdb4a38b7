"""FAVOR+ of performer-pytorch 1.1.4: both kernels, causal and not, with gradients. Writes performer.npz beside itself.

Run it where `performer-pytorch` is installed. The small numbers that the package adds to features and denominators are set
to 0 (those of the ReLU kernel, which belong to its definition, are kept): with them its causal softmax kernel sees the future.
"""

from pathlib import Path

import numpy as np
import torch
from performer_pytorch.performer_pytorch import (
    causal_linear_attention_noncuda,
    gaussian_orthogonal_random_matrix,
    generalized_kernel,
    linear_attention,
    softmax_kernel,
)

HEAD, FEATURES = 8, 16


def main() -> None:
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    directions = gaussian_orthogonal_random_matrix(FEATURES, HEAD)
    query, key, value = (torch.randn(1, 2, 70, HEAD, requires_grad=True) for _ in range(3))
    seed = torch.randn(1, 2, 70, HEAD)
    kept = {"directions": directions, "query": query, "key": key, "value": value, "seed": seed}
    for kernel in ("softmax", "relu"):
        for causal in (False, True):
            if kernel == "softmax":
                phi_query = softmax_kernel(query, projection_matrix=directions, is_query=True, eps=0.0)
                phi_key = softmax_kernel(key, projection_matrix=directions, is_query=False, eps=0.0)
            else:
                phi_query, phi_key = (generalized_kernel(x, projection_matrix=directions) for x in (query, key))
            if causal:
                out = causal_linear_attention_noncuda(phi_query, phi_key, value, chunk_size=7, eps=0.0)
            else:
                out = linear_attention(phi_query, phi_key, value)
            name = f"{kernel}_{'causal' if causal else 'both_sides'}"
            kept[name] = out
            for part, gradient in zip(
                ("query", "key", "value"), torch.autograd.grad(out, (query, key, value), seed), strict=True
            ):
                kept[f"{name}_gradient_{part}"] = gradient
    arrays = {name: tensor.detach().numpy() for name, tensor in kept.items()}
    np.savez_compressed(Path(__file__).with_name("performer.npz"), **arrays)


if __name__ == "__main__":
    main()
