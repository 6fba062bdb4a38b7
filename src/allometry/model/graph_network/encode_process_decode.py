"""Encode, process, decode: the graph network of the demos of graph_nets (Battaglia et al. 2018, arXiv:1806.01261, figure 6b).

```text
G_0 = encoder(G)                 each edge, node and graph by itself
G_m = core([G_0, G_m-1])         `steps` times, with the first graph beside the last one
answer_m = output(decoder(G_m))  each by itself again; a linear layer for what is asked
```

`sized` gives the demos' model: perceptrons with ReLU after each layer and a norm of layers at the end, a full block as the core.
Two departures: by default only what is asked is decoded, where the demos decode all, and what they do not ask of that never learns;
and by default weights start as torch's do. With `start="sonnet"` they start as the demos' (a normal distribution of variance
1 / inputs cut at two deviations, biases of 0). Then a single number that is read is lost at first: without biases a perceptron with
ReLU only scales with it, and a norm takes the scale away. Two numbers are not, and shortest paths learn sooner so.
"""

import math
from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from allometry.flow import Graphs, Refusal
from allometry.graph import FEATURES, Graph, batch
from allometry.model.graph_network._beside import filled
from allometry.model.graph_network._block import GraphBlock
from allometry.model.graph_network._reduce import PrincipalNeighbourhood, Reducer, parts, reducer
from allometry.model.graph_network._update import Mlp
from allometry.model.graph_network.independent import Independent
from allometry.model.graph_network.stack import GraphStack

DECODED = ("asked", "all")
STARTS = ("torch", "sonnet")


class EncodeProcessDecode(nn.Module):
    """Graph -> Graph of answers, `None` where nothing is asked; a list of them while it trains and `every_step` is set.

    `steps` may be other at the test: `model.steps = 20`, or `model(graph, steps=20)` for one call. An attribute that a graph lacks
    is read as a single 1.
    """

    def __init__(
        self,
        encoder: nn.Module,
        core: nn.Module | Sequence[nn.Module],  # several: one for each step
        decoder: nn.Module,
        outputs: Mapping[str, nn.Module],  # of "nodes", "edges", "globals", those that are asked
        *,
        steps: int = 10,
        every_step: bool = False,
        answered: int = 1,  # the first step that is answered then
        checkpoint: bool = False,
    ) -> None:
        super().__init__()
        unknown = [name for name in outputs if name not in FEATURES]
        if unknown or not outputs:
            raise Refusal(f"Outputs of {', '.join(unknown) or 'nothing'} were asked. They are of: {', '.join(FEATURES)}.")
        if answered < 1:
            raise Refusal(f"answered={answered} is no step. Steps that are answered count from 1.")
        self.encoder, self.decoder = encoder, decoder
        self.process = GraphStack(core, steps, skip=True, checkpoint=checkpoint)
        self.outputs = nn.ModuleDict({f"of_{name}": outputs[name] for name in FEATURES if name in outputs})
        self.every_step, self.answered = every_step, answered

    @property
    def steps(self) -> int:
        """Times that the core is applied."""
        return self.process.steps

    @steps.setter
    def steps(self, steps: int) -> None:
        self.process.steps = steps

    def forward(self, graph: Graph, steps: int | None = None) -> Graph | list[Graph]:
        latent = self.encoder(filled(graph))
        if self.training and self.every_step:
            latents = list(self.process.each(latent, steps))
            return self._answers(latents[min(self.answered, len(latents)) - 1 :])
        return self._answer(self.process(latent, steps))

    def _answer(self, latent: Graph) -> Graph:
        decoded = self.decoder(latent)
        asked = {name: self.outputs[f"of_{name}"] for name in FEATURES if f"of_{name}" in self.outputs}
        answers = {name: output(getattr(decoded, name)) for name, output in asked.items()}
        return latent.answering(**answers)

    def _answers(self, latents: Sequence[Graph]) -> list[Graph]:
        """Those of all steps, decoded as one batch: small graphs cost calls more than sums."""
        together = self._answer(batch(latents))
        each: list[dict[str, Tensor]] = [{} for _ in latents]
        for name in FEATURES:
            if (answer := getattr(together, name)) is not None:
                for own, rows in zip(each, answer.chunk(len(latents)), strict=True):
                    own[name] = rows
        return [latent.answering(**own) for latent, own in zip(latents, each, strict=True)]

    def ends(self) -> dict[str, nn.Module]:
        """The layers that depend on what is read and asked: the encoders' first ones, and those that answer.

        A first layer is named twice: its projection has the products, its linear layer the weights.
        """
        found: dict[str, nn.Module] = {f"outputs.{name}": layer for name, layer in self.outputs.named_children()}
        for name, update in self.encoder.named_children():
            if isinstance(update, Mlp):
                found |= {f"encoder.{name}.first": update.first, f"encoder.{name}.first.linear": update.first.linear}
        return found

    @classmethod
    def sized(
        cls,
        io: Graphs,
        width: int = 16,
        layers: int = 2,  # of every perceptron
        *,
        reduce: str | Reducer = "sum",
        cores: int = 1,  # sets of weights; 1: shared by all steps
        steps: int = 10,
        flow: str = "full",  # see `core_of`
        decoded: str = "asked",  # asked | all, as in the demos
        start: str = "torch",  # torch | sonnet, as in the demos
        every_step: bool = False,
        answered: int = 1,
        checkpoint: bool = False,
    ) -> "EncodeProcessDecode":
        """The model of the demos for what an IO says. With `decoded="all"` that of shortest paths has their 8,180 parameters."""
        if decoded not in DECODED:
            raise Refusal(f"decoded={decoded!r} is not known. It is one of: {', '.join(DECODED)}.")
        if start not in STARTS:
            raise Refusal(f"start={start!r} is not known. It is one of: {', '.join(STARTS)}.")
        asked, read = io.asked, io.read
        known = [name for name in FEATURES if name != "globals" or flow != "local"]
        unknown = [name for name in asked if name not in known]
        if unknown:
            raise Refusal(f"flow={flow!r} has no {', '.join(unknown)}, and they are asked. Take another flow.")
        if flow == "message" and io.of_edges:
            raise Refusal("flow='message' keeps an edge as it was encoded, and edges are asked. Take another flow.")
        kept = [name for name in known if decoded == "all" or name in asked]
        encoders = {name: perceptron(width, layers, read[name] or 1) for name in known}
        decoders = {name: perceptron(width, layers, width) for name in kept}
        model = cls(
            _independent(encoders),
            [core_of(width, layers, reduce, flow, io) for _ in range(cores)],
            _independent(decoders),
            {name: nn.Linear(width, outputs) for name, outputs in asked.items()},
            steps=steps,
            every_step=every_step,
            answered=answered,
            checkpoint=checkpoint,
        )
        return model.apply(_as_sonnet) if start == "sonnet" else model


def _as_sonnet(layer: nn.Module) -> None:
    """As Sonnet, which the demos are written in, starts a linear layer: with 1.5 times the weights of torch's."""
    if isinstance(layer, nn.Linear):
        deviation = layer.in_features**-0.5
        nn.init.trunc_normal_(layer.weight, std=deviation, a=-2 * deviation, b=2 * deviation)
        nn.init.zeros_(layer.bias)


def perceptron(width: int, layers: int, inputs: int) -> Mlp:
    """That of the demos: ReLU after each layer, the last too, and then a norm of layers."""
    return Mlp([width] * layers, inputs, last=True, norm=True)


FLOWS = {
    "full": "all read all",
    "local": "no update reads globals, and there is none of them",
    "message": "an edge keeps its attribute; what it says to its receiver is computed anew in every step",
    "independent": "an edge reads itself and the globals, and no nodes",
}


def core_of(width: int, layers: int, reduce: str | Reducer, flow: str, io: Graphs) -> GraphBlock:
    """A block that reads two latent graphs of a width side by side and gives one. `reduce` is of all its paths."""
    if flow not in FLOWS:
        raise Refusal(f"flow={flow!r} is not known. It is one of: {', '.join(FLOWS)}.")
    whole = () if flow == "local" else ("globals",)
    received, of_edges, of_nodes = (reducer_of(reduce, size) for size in (io.links / io.length, io.links, io.length))
    edge_reads = ("edges", *(() if flow == "independent" else ("receivers", "senders")), *whole)
    heard, state = width * parts(received), 2 * width
    edge = perceptron(width, layers, state * len(edge_reads))
    apart = flow == "message"
    return GraphBlock(
        None if apart else edge,
        perceptron(width, layers, heard + state * (1 + len(whole))),
        perceptron(width, layers, (state if apart else width) * parts(of_edges) + width * parts(of_nodes) + state)
        if whole
        else None,
        edge if apart else None,
        edge_reads=edge_reads,
        message_reads=edge_reads,
        node_reads=("received", "nodes", *whole),
        received=received,
        of_edges=of_edges,
        of_nodes=of_nodes,
    )


def reducer_of(reduce: str | Reducer, size: float) -> Reducer:
    """By its name; `pna` scales by the size of the groups of an IO's usual graph."""
    if reduce != "pna":
        return reducer(reduce)
    return PrincipalNeighbourhood(math.log(size + 1))


def _independent(by: Mapping[str, Mlp]) -> Independent:
    return Independent(by.get("edges"), by.get("nodes"), by.get("globals"))
