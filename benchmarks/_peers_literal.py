"""Architectures that no installable package has: the definition of the paper (for `causal_mlp_mixer`, ours) in plain torch.

What is not the architecture's own is that of `_plain.py`. Activations are those of our families, so that both do the same work.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from _plain import Attention, Cross, EncoderDecoder, FeedForward, LanguageModel, Layer, Stack, causal_layers, decoder, norm
from torch import Tensor, nn
from transformer_speed import DEPTH, HEADS, LENGTH, VOCAB, WIDTH

COMPONENTS = 15
HALTED = 0.99  # of a position's halting probabilities, added up
SOURCE = 232  # tokens that an encoder reads in architecture_speed.py


class MixtureHead(nn.Module):
    """log sum_j pi_j softmax(tanh(W_j h) E^T) (Yang et al. 2017)."""

    def __init__(self, in_logarithms: bool) -> None:
        super().__init__()
        self.in_logarithms = in_logarithms
        self.prior = nn.Linear(WIDTH, COMPONENTS, bias=False)
        self.latent = nn.Linear(WIDTH, COMPONENTS * WIDTH, bias=False)
        self.output = nn.Linear(WIDTH, VOCAB, bias=False)

    def forward(self, h: Tensor) -> Tensor:
        logits = self.output(self.latent(h).tanh().unflatten(-1, (COMPONENTS, WIDTH))).float()
        prior = self.prior(h).float()
        if self.in_logarithms:
            return (prior.log_softmax(-1)[..., None] + logits.log_softmax(-1)).logsumexp(-2)
        return ((prior.softmax(-1)[..., None] * logits.softmax(-1)).sum(-2) + 1e-8).log()  # as the original


def timing(step: int) -> Tensor:
    """The sinusoids of all positions and of a step (Dehghani et al. 2018), [length width]."""
    rates = 10000.0 ** -(torch.arange(0, WIDTH, 2) / WIDTH)
    of_position, of_step = torch.arange(LENGTH)[:, None] * rates, step * rates
    both = torch.stack([of_position.sin() + of_step.sin(), of_position.cos() + of_step.cos()], dim=-1)
    return both.flatten(-2) / 2


class Universal(nn.Module):
    """One layer, applied again and again; timing signals before each step."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = Layer(Attention(), FeedForward())
        self.register_buffer("signals", torch.stack([timing(step) for step in range(1, DEPTH + 1)]))

    def forward(self, x: Tensor) -> Tensor:
        for signal in self.signals:
            x = self.layer(x + signal[: x.shape[1]])
        return x


class AdaptiveUniversal(nn.Module):
    """The same with adaptive computation time (Graves 2016), DEPTH + 1 steps, as Tensor2Tensor's loop with all steps made."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.halting = Layer(Attention(), FeedForward()), nn.Linear(WIDTH, 1)
        nn.init.zeros_(self.halting.weight)
        nn.init.constant_(self.halting.bias, -math.log(DEPTH))
        self.register_buffer("signals", torch.stack([timing(step) for step in range(1, DEPTH + 2)]))

    def forward(self, x: Tensor) -> Tensor:
        halting = remainders = torch.zeros(x.shape[:2])
        y = torch.zeros_like(x)
        for step, signal in enumerate(self.signals):
            x = x + signal[: x.shape[1]]
            p = self.halting(x).float().sigmoid().squeeze(-1)
            running = (halting < 1.0).float()
            last = step == DEPTH
            new = running if last else (halting + p * running > HALTED).float() * running
            going = running - new
            halting = halting + p * going
            remainders = remainders + new * (1 - halting)
            halting = halting + new * (1 - halting)
            weight = p * going + new * remainders
            x = self.layer(x)
            y = y + x * weight[..., None]
        return y


class Separable(nn.Module):
    """A filter for each channel, then a matrix over channels; the past alone."""

    def __init__(self, width: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(width, width, kernel, groups=width, padding=kernel - 1, bias=False)
        self.pointwise = nn.Linear(width, outputs, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.pointwise(self.depthwise(x.transpose(1, 2))[..., : x.shape[1]].transpose(1, 2))


class Branches(nn.Module):
    """Of the Evolved Transformer's decoder (So, Liang, Le 2019)."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = Separable(WIDTH, 2 * WIDTH, 11), Separable(WIDTH, WIDTH // 2, 7)
        self.norm, self.out = nn.LayerNorm(2 * WIDTH, bias=False), Separable(2 * WIDTH, WIDTH, 7)

    def forward(self, x: Tensor) -> Tensor:
        left, right = self.left(x).relu(), self.right(x)
        return self.out(self.norm(left + F.pad(right, (0, 2 * WIDTH - WIDTH // 2))))


def evolved() -> nn.Module:
    """Half as many layers: two feed-forward parts' worth of a transformer's stand in one."""
    layers = [Layer(Attention(2 * HEADS), Branches(), Attention(), FeedForward(F.silu)) for _ in range(DEPTH // 2)]
    return LanguageModel(Stack(layers))


class CausalTokenMixing(nn.Module):
    """A perceptron over the positions whose two matrices are lower triangular, each the product of two thin ones."""

    def __init__(self, rank: int = WIDTH // 4) -> None:
        super().__init__()
        self.factors = nn.ParameterList(torch.randn(LENGTH, rank) * scale for scale in (0.02, 1.0, 0.02, 1.0))

    def forward(self, x: Tensor) -> Tensor:
        a, b, c, d = (factor[: x.shape[1]] for factor in self.factors)
        return torch.tril(c @ d.T) @ F.gelu(torch.tril(a @ b.T) @ x)


class MixerBlock(nn.Module):
    """MLP-Mixer's layer (Tolstikhin et al. 2021) of `SOURCE` positions, with biases."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(2))
        self.tokens = nn.Sequential(nn.Linear(SOURCE, WIDTH // 2), nn.GELU(), nn.Linear(WIDTH // 2, SOURCE))
        self.channels = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x: Tensor, memory: None = None) -> Tensor:
        x = x + self.tokens(self.norms[0](x).transpose(1, 2)).transpose(1, 2)
        return x + self.channels(self.norms[1](x))


class PoolingLayer(nn.Module):
    """Funnel Transformer's layer (Dai et al. 2020) that halves the sequence: queries and residual stream are averaged."""

    def __init__(self) -> None:
        super().__init__()
        self.attention, self.channel = Cross(), FeedForward()
        self.norms = nn.ModuleList(norm() for _ in range(2))

    def forward(self, x: Tensor, memory: None = None) -> Tensor:
        normed = self.norms[0](x)
        x = pool(x) + self.attention(pool(normed), normed)
        return x + self.channel(self.norms[1](x))


def pool(x: Tensor) -> Tensor:
    return F.avg_pool1d(x.transpose(1, 2), 2, ceil_mode=True).transpose(1, 2)


def funnel() -> nn.Module:
    layers = [PoolingLayer() if layer in (1, 3) else Layer(Attention(causal=False), FeedForward()) for layer in range(DEPTH)]
    return EncoderDecoder(Stack(layers), decoder())


class Lstm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.recurrence, self.out = nn.LSTM(WIDTH, WIDTH, batch_first=True), nn.Linear(WIDTH, WIDTH, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.recurrence(x)[0])


def mixers(mixer: type[nn.Module]) -> nn.Module:
    return LanguageModel(Stack([Layer(mixer(), FeedForward()) for _ in range(DEPTH)]), positions=False)


PEERS: dict[str, dict[str, Callable[[], nn.Module]]] = {
    "mixture_of_softmaxes": {
        "literal, in logarithms": lambda: LanguageModel(causal_layers(), MixtureHead(in_logarithms=True)),
        "literal, in probabilities": lambda: LanguageModel(causal_layers(), MixtureHead(in_logarithms=False)),
    },
    "universal_transformer": {"literal": lambda: LanguageModel(Universal(), positions=False)},
    "adaptive_universal_transformer": {"literal": lambda: LanguageModel(AdaptiveUniversal(), positions=False)},
    "evolved_transformer": {"literal": evolved},
    "causal_mlp_mixer": {"literal": lambda: mixers(CausalTokenMixing)},
    "mlp_mixer": {
        "literal": lambda: EncoderDecoder(Stack([MixerBlock() for _ in range(DEPTH)]), decoder(), positions=False)
    },
    "funnel_transformer": {"literal": funnel},
    "lstm": {"literal, torch.nn.LSTM": lambda: mixers(Lstm)},
}
