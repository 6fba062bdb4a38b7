"""The nouns on the arrows: what one stage hands to the next.

data -> IO -> model -> train -> Point, End -> record -> table -> fit -> report. Nothing here imports torch.
"""

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

from allometry.spec import Spec

# Raised by one whenever a change moves the numbers of a run that was asked in the same words.
NUMERICS = 4


class Refusal(ValueError):
    """What a user asked cannot be done: fact + value + way out, in one line. The command prints it and exits with 2."""


class TooFar(Refusal):
    """A prediction beyond the reach of a fit."""


def in_words(error: Exception) -> str:
    """What a user's own code raised, in one line.

    >>> in_words(KeyError("width"))
    "KeyError: 'width'"
    """
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"


class Tokens(Spec):
    """Tokens in, one prediction of the next token at every position: `Int[batch length] -> Float[batch length vocab]`."""

    vocab: int  # symbols
    length: int  # tokens in a sequence

    @property
    def outputs(self) -> int:
        """Numbers that a model gives at a target."""
        return self.vocab

    def longer(self) -> "Tokens":
        """The same at twice the length."""
        return self.edit(length=2 * self.length)


class Pairs(Spec):
    """A source and the target so far in, one prediction of the next target token at every target position:
    `(Int[batch source], Int[batch target]) -> Float[batch target vocab]`."""

    vocab: int  # symbols, of both
    source: int  # tokens
    target: int  # tokens

    @property
    def outputs(self) -> int:
        """Numbers that a model gives at a target."""
        return self.vocab

    @property
    def length(self) -> int:
        """Tokens that a model reads in one example: costs are given per token of these."""
        return self.source + self.target

    def longer(self) -> "Pairs":
        """The same at twice the length."""
        return self.edit(source=2 * self.source, target=2 * self.target)


ANSWERS = ("every", "end")
LOSSES = ("cross_entropy", "squared")


class Series(Spec):
    """Vectors in, an answer at every position or at the end: `Float[batch length channels] -> Float[batch answers outputs]`.

    The target of an answer is a class (`Int[batch answers]`), or one number (`Float[batch answers]`) where the loss is squared.
    """

    channels: int  # numbers at a position
    length: int  # positions
    outputs: int  # classes; 1 where a number is asked
    answer: str = "end"  # every | end
    loss: str = "cross_entropy"  # cross_entropy, in nats | squared

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.answer not in ANSWERS:
            raise Refusal(f"Series(answer={self.answer!r}) is not known. It is one of: {', '.join(ANSWERS)}.")
        if self.loss not in LOSSES:
            raise Refusal(f"Series(loss={self.loss!r}) is not known. It is one of: {', '.join(LOSSES)}.")
        if self.loss == "squared" and self.outputs != 1:
            raise Refusal(f"Series(outputs={self.outputs}) asks for more than one number. A squared loss takes outputs=1.")

    @property
    def answers(self) -> int:
        """Positions at which a model answers."""
        return self.length if self.answer == "every" else 1

    def longer(self) -> "Series":
        """The same at twice the length."""
        return self.edit(length=2 * self.length)


class Graphs(Spec):
    """A batch of graphs in (`allometry.graph.Graph`), the same graphs out, with an answer at nodes, edges or whole graphs.

    The target is a Graph of the same wiring: a class for each node, edge or graph (negative where none is asked), or numbers where
    the loss is squared. Where nothing is asked the feature is None. A model that works in steps may answer with a list while it
    trains, a Graph for each step: it learns from all, and the last is its answer.
    """

    nodes: int  # channels of a node; 0: nodes have no features
    edges: int  # of an edge
    globals: int  # of a graph
    of_nodes: int = 0  # outputs at a node: classes, or numbers; 0: nodes are not asked
    of_edges: int = 0
    of_graphs: int = 0
    loss: str = "cross_entropy"  # cross_entropy, in nats, the mean of the means over nodes, edges and graphs | squared
    length: int = 16  # nodes of a graph of the usual size, at which costs are given, per node
    links: int = 64  # its edges

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.loss not in LOSSES:
            raise Refusal(f"Graphs(loss={self.loss!r}) is not known. It is one of: {', '.join(LOSSES)}.")
        if not self.asked:
            raise Refusal("Graphs(...) asks nothing. Give outputs of_nodes, of_edges or of_graphs.")

    @property
    def outputs(self) -> int:
        """Numbers that a model gives at a target; of the kinds that are asked, the most."""
        return max(self.asked.values())

    @property
    def read(self) -> dict[str, int]:
        """Channels by the name of the feature; 0 where there is none."""
        return {"nodes": self.nodes, "edges": self.edges, "globals": self.globals}

    @property
    def asked(self) -> dict[str, int]:
        """Outputs by the name of the feature, of what is asked alone."""
        every = {"nodes": self.of_nodes, "edges": self.of_edges, "globals": self.of_graphs}
        return {name: outputs for name, outputs in every.items() if outputs}

    def longer(self) -> "Graphs":
        """The same at twice the nodes, each with as many edges."""
        return self.edit(length=2 * self.length, links=2 * self.links)


IO = Tokens | Pairs | Series | Graphs  # later tasks add grids

# The references at which sizes are matched: a size is the same model on any data.
REFERENCE = Tokens(vocab=256, length=256)
REFERENCES: dict[type[Spec], IO] = {
    Tokens: REFERENCE,
    Pairs: Pairs(vocab=256, source=256, target=64),
    Series: Series(channels=1, length=256, outputs=256, answer="every"),
    Graphs: Graphs(nodes=5, edges=1, globals=1, of_nodes=2, of_edges=2),
}


SCALES = ("both", "width", "depth")  # what may grow with the size of a family


# What may differ between the examples of one IO: a model for the one can be asked the other.
EXTENTS = ("length", "links")


def alike(one: Spec, other: Spec) -> bool:
    """Whether two IOs differ in how long their examples are and in nothing else.

    >>> alike(Tokens(vocab=5, length=8), Tokens(vocab=5, length=20)), alike(Tokens(vocab=5, length=8), Tokens(vocab=6, length=8))
    (True, False)
    """
    known = {name: getattr(one, name) for name in EXTENTS if name in {field.name for field in dataclasses.fields(one)}}
    return type(one) is type(other) and other.edit(**known) == one


class Budget(Spec):
    """How long a run trains. The FLOPs are what was asked; the steps are what that gives for this model."""

    flops: float  # training FLOPs, 2 per multiply-add, 3 x forward
    steps: int
    batch: int  # sequences or graphs in a step


class Run(Spec):
    """All that decides the numbers of a run. Its id is the hash of its content."""

    family: Spec  # the architecture at its size
    size: int  # the dial
    task: str
    io: IO
    data: str  # fingerprint of the data
    recipe: Spec
    budget: Budget
    seed: int
    precision: str = "fp32"  # fp32 | bf16
    parent: str | None = None  # id of the run this one starts from
    numerics: int = (
        0  # NUMERICS of the version that made the run; whoever makes one says it, as a default is left out of ids
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Point:
    """One fact of a run."""

    step: int
    examples: int
    tokens: int  # read: tokens, positions of a series, nodes of graphs
    flops: float  # of graphs those of as many nodes in graphs of the usual size
    seconds: float  # spent in training so far, over all starts
    loss: float  # nats per target token, or the mean square where a number is asked
    metrics: dict[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class End:
    """How a run ended. A run without a score has no score: `loss` is None unless it is done."""

    status: str  # done | diverged | failed
    reason: str = ""
    loss: float | None = None  # held-out, in the units of a Point
    bits_per_byte: float | None = None
    seconds: float = 0.0  # spent in training steps
    facts: dict[str, Any] = dataclasses.field(default_factory=dict)  # versions, device, memory, held-out details


class Store(Protocol):
    """Where runs are kept: append-only, one place per run id."""

    def ask(self, run: Run, labels: dict[str, Any]) -> Path: ...
    def append(self, run_id: str, points: Iterable[Point]) -> None: ...
    def finish(self, run_id: str, end: End) -> None: ...
    def end(self, run_id: str) -> End | None: ...
    def points(self, run_id: str) -> Iterator[Point]: ...
