"""Writes albert.npz: inputs, weights, outputs and gradients of the ALBERT of Hugging Face transformers, in float64.

Run where transformers is installed: python tests/oracles/make_albert.py. Its norms stand after each part and ours before, so
they are taken out of it (and of ours, in the test), with the biases and the learned positions set to zero. What remains to be
compared is what makes ALBERT: one layer used in every place, the factor behind the embedding, attention and feed-forward.
"""

from pathlib import Path

import numpy as np
import torch
import transformers
from torch import nn
from transformers import AlbertConfig
from transformers.models.albert.modeling_albert import AlbertEmbeddings, AlbertTransformer

torch.manual_seed(0)
config = AlbertConfig(
    vocab_size=11, embedding_size=8, hidden_size=16, num_hidden_layers=3, num_hidden_groups=1, inner_group_num=1,
    num_attention_heads=2, intermediate_size=64, hidden_act="gelu", hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0, attn_implementation="eager", pad_token_id=None,  # token 0 is a token, with a gradient
)  # fmt: skip
embeddings, stack = AlbertEmbeddings(config).double(), AlbertTransformer(config).double()
layer = stack.albert_layer_groups[0].albert_layers[0]
embeddings.LayerNorm = layer.attention.LayerNorm = layer.full_layer_layer_norm = nn.Identity()
parameters = {
    name: p
    for module in (embeddings, stack)
    for name, p in module.named_parameters()
    if name.endswith("weight") and not name.startswith(("position", "token_type"))
}
with torch.no_grad():
    for module in (embeddings, stack):
        for name, p in module.named_parameters():
            p.zero_() if name not in parameters else p.normal_(std=1.0 if "word" in name else p.shape[1] ** -0.5)

tokens = torch.randint(0, 11, (3, 10))
keep = torch.arange(10) < torch.tensor([[10], [7], [2]])
seed = torch.randn(3, 10, 16, dtype=torch.float64)
past = torch.arange(10) <= torch.arange(10)[:, None]
found = {"tokens": tokens, "keep": keep, "seed": seed, **{name: p.detach().clone() for name, p in parameters.items()}}
for form, seen, kept in (("causal", past[None, None], torch.ones_like(keep)), ("padded", keep[:, None, None], keep)):
    mask = torch.where(seen, 0.0, -torch.inf).double()
    out = stack(embeddings(tokens), mask).last_hidden_state
    gradients = torch.autograd.grad((out * seed * kept[..., None]).sum(), list(parameters.values()))
    found[f"{form} out"] = out.detach()
    found |= {f"{form} gradient {name}": g for name, g in zip(parameters, gradients, strict=True)}
place = Path(__file__).with_name("albert.npz")
np.savez_compressed(place, versions=f"transformers {transformers.__version__}", **{n: t.numpy() for n, t in found.items()})
print(place.stat().st_size, sorted(found))
