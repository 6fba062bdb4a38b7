"""Mixture of softmaxes (Yang et al. 2017, arXiv:1711.03953): the transformer with several softmaxes over the vocabulary.

One softmax gives log-probabilities of rank width + 1 at most, however many contexts there are; a mixture is not so bound.
The model's output is a log-probability: a softmax after it changes nothing. The original's 15 components are kept. Departs

- from the original, which is an LSTM with a bias in W_j and in the softmax and adds 1e-8 to probabilities: no biases here, and
  sums of probabilities are taken in the log domain;
- from Tay et al. 2022, where h is first scaled by width^-1/2: they tie the softmax to the embedding; ours is its own, and
  starts small.
"""

from torch import nn

from allometry.model._attention import AttentionFamily
from allometry.model._stack import Ends
from allometry.model.blocks._mixture import MixtureOfSoftmaxes as Head


class MixtureOfSoftmaxes(AttentionFamily):
    """mixer = softmax attention; channel = GELU feed-forward; head = log sum_j pi_j softmax(tanh(W_j h) E^T)."""

    components: int = 15

    def head(self, vocab: int) -> nn.Module:
        return Head(self.width, self.components, vocab)

    def ends(self, vocab: int) -> Ends:
        """Every component has a matrix of its own before the softmax, and the softmax is taken as often."""
        own = self.components * (self.width**2 + self.width)
        flops = 2 * own + 2 * self.components * self.width * vocab
        return Ends(parameters=2 * vocab * self.width + own, non_embedding=own, source=0, target=flops)
