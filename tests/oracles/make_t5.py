"""T5ForConditionalGeneration of transformers 5.24: a small random model, its logits and gradients. Writes t5.npz beside itself.

Run it where `transformers` is installed. Its norm takes its variance in fp32, which is left out here so that nothing but the
architecture is compared. The gradient at the logits is as large as that of a mean loss. Also written are its buckets for every
distance up to 300.
"""

from pathlib import Path

import numpy as np
import torch
from transformers import T5Config, T5ForConditionalGeneration
from transformers.models.t5.modeling_t5 import T5Attention, T5LayerNorm

CONFIG = T5Config(
    vocab_size=50,
    d_model=24,
    d_kv=6,
    d_ff=40,
    num_layers=2,
    num_decoder_layers=2,
    num_heads=4,
    dropout_rate=0.0,
    use_cache=False,
)


def norm(self: T5LayerNorm, x: torch.Tensor) -> torch.Tensor:
    return self.weight * x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.variance_epsilon)


def main() -> None:
    torch.manual_seed(0)
    T5LayerNorm.forward = norm
    model = T5ForConditionalGeneration(CONFIG).double().eval()
    kept: dict[str, torch.Tensor] = {}
    for name, parameter in model.named_parameters():
        if "norm" in name:
            parameter.data = 1 + 0.3 * torch.randn_like(parameter)
        elif name == "shared.weight":
            parameter.data *= 0.5
        elif "relative" in name:
            parameter.data = torch.randn_like(parameter)
        else:
            parameter.data *= 1.5
        parameter.data = parameter.data.float().double()
        kept[f"weight {name}"] = parameter.detach().float()
    source, target = torch.randint(0, 50, (3, 40)), torch.randint(0, 50, (3, 16))
    keep = torch.arange(40) < torch.tensor([40, 29, 5])[:, None]
    seed = (0.02 * torch.randn(3, 16, 50)).float().double()
    kept |= {"source": source, "target": target, "keep": keep, "seed": seed.float()}
    for name, mask in (("whole", torch.ones_like(keep)), ("padded", keep)):
        logits = model(input_ids=source, attention_mask=mask.long(), decoder_input_ids=target).logits
        kept[f"{name} logits"] = logits
    (logits * seed).sum().backward()  # of the padded case
    kept |= {f"gradient {name}": parameter.grad.float() for name, parameter in model.named_parameters()}
    distances = torch.arange(-300, 301)
    for name, both in (("encoder", True), ("decoder", False)):
        kept[f"buckets {name}"] = T5Attention._relative_position_bucket(distances, bidirectional=both)
    arrays = {name: tensor.detach().numpy() for name, tensor in kept.items()}
    np.savez_compressed(Path(__file__).with_name("t5.npz"), **arrays)


if __name__ == "__main__":
    main()
