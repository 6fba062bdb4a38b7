"""Transformer, decoder only: pre-norm, RMSNorm, rotary positions, GELU (Vaswani et al. 2017, arXiv:1706.03762, modernised).

Attention moves information between positions, a feed-forward part acts within one. Departs from the original in what is
usual today: norm before each part, no biases, rotary positions instead of sinusoids, embedding not tied.
"""

from allometry.model._attention import AttentionFamily


class Transformer(AttentionFamily):
    """mixer = softmax attention; channel = GELU feed-forward."""
