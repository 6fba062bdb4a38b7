"""Examples of an IO without data: random tokens, numbers or graphs in the shapes that a model reads."""

import torch
from jaxtyping import Int, Num
from torch import Tensor, nn

from allometry.flow import IO, Graphs, Pairs, Series
from allometry.graph import Graph, graph
from allometry.model._family import Family

# Of tokens [batch length]; or source, target so far, and perhaps which of the source is kept; or a series [batch length channels];
# or a batch of graphs.
Inputs = tuple[Tensor | Graph, ...]
# Tokens or classes, negative where none is asked; floating-point: the numbers asked. Or a Graph of these, of the same wiring.
Targets = Num[Tensor, "batch targets"] | Graph


def example(io: IO, batch: int, seed: int = 0) -> tuple[Inputs, Targets]:
    """Inputs and targets, random, from a seed of their own: tokens, classes and edges uniformly, numbers normally."""
    generator = torch.Generator().manual_seed(seed)
    if isinstance(io, Graphs):
        return _graphs(io, batch, generator)

    def random(length: int) -> Int[Tensor, "batch length"]:
        return torch.randint(0, io.outputs, (batch, length), generator=generator)

    if isinstance(io, Series):
        series = torch.randn(batch, io.length, io.channels, generator=generator)
        if io.loss == "squared":
            return (series,), torch.randn(batch, io.answers, generator=generator)
        return (series,), random(io.answers)
    if isinstance(io, Pairs):
        return (random(io.source), random(io.target)), random(io.target)
    return (random(io.length),), random(io.length)


def built(family: Family, io: IO) -> nn.Module:
    """The model of a family. Its lazy layers, if it has any, take their widths from an example."""
    model = family.build(io)
    parts = (*model.parameters(), *model.buffers())
    if any(nn.parameter.is_lazy(part) for part in parts):
        training = model.training
        with torch.no_grad(), torch.device("cpu"):
            model.eval()(*(part.to(parts[0].device) for part in example(io, 1)[0]))
        model.train(training)
    return model


def counted_on(io: IO) -> str:
    """The device on which a model can be looked at without memory: what a graph network does depends on the wiring of an
    example, which tensors on meta do not hold."""
    return "cpu" if isinstance(io, Graphs) else "meta"


def _graphs(io: Graphs, batch: int, generator: torch.Generator) -> tuple[tuple[Graph], Graph]:
    """Graphs of `io.length` nodes and `io.links` edges, which stand in the order of their receivers."""
    first = io.length * torch.arange(batch)[:, None]
    ends = torch.randint(0, io.length, (2, batch, io.links), generator=generator)
    senders, receivers = (first + ends[0]).flatten(), (first + ends[1].sort(1).values).flatten()
    n_node, n_edge = torch.full((batch,), io.length), torch.full((batch,), io.links)
    rows = {"nodes": batch * io.length, "edges": batch * io.links, "globals": batch}
    features = {name: torch.randn(rows[name], width, generator=generator) for name, width in io.read.items() if width}
    inputs = graph(senders, receivers, n_node, n_edge, **features)
    answers = {
        name: torch.randn(rows[name], width, generator=generator)
        if io.loss == "squared"
        else torch.randint(0, width, (rows[name],), generator=generator)
        for name, width in io.asked.items()
    }
    return (inputs,), Graph(inputs.wiring, **answers)
