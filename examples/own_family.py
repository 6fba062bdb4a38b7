"""A family of your own: a GRU language model, at every size. Explained in docs/own_family.md."""

from torch import nn

from allometry import Family


class Gru(Family):
    def build(self, io):
        return Net(io.vocab, self.width, self.depth)


class Net(nn.Module):
    def __init__(self, vocab, width, depth):
        super().__init__()
        self.embedding, self.head = nn.Embedding(vocab, width), nn.Linear(width, vocab)
        self.recurrence = nn.GRU(width, width, depth, batch_first=True)

    def forward(self, tokens):
        return self.head(self.recurrence(self.embedding(tokens))[0])
