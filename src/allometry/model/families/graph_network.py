"""Graph network that encodes, processes and decodes (Battaglia et al. 2018, arXiv:1806.01261; the demos of graph_nets).

Edges, nodes and graphs read each other in `steps` steps of message passing; how far anything travels is set by the steps, and what
travels by the graph. Every perceptron has `depth` layers of `width`; at the demos' 16 and 2 it is their model.

Sizes are matched by weights, and those of a core that all steps share count once: steps are free to be others at the test. So it
departs from the sequence families that share layers, whose weights count once for each use. The FLOPs are those of all steps. They
are those of one answer: what `answers` decodes in training beside it is not among them (1.4 times as many in the demos' model).
"""

from typing import ClassVar

from torch import nn

from allometry.flow import IO, Graphs
from allometry.model._family import ClosedForm, Family, at_least_one
from allometry.model._options import known
from allometry.model._tally import Tally, form_of
from allometry.model.graph_network._reduce import REDUCERS, parts
from allometry.model.graph_network.encode_process_decode import DECODED, FLOWS, STARTS, EncodeProcessDecode, reducer_of

CORES = ("shared", "separate")
ANSWERED = ("last", "every", "later")


class GraphNetwork(Family):
    """encoder and decoder = independent perceptrons; core = full graph block that reads [encoded graph, last graph]."""

    claims: ClassVar[frozenset[str]] = frozenset({"any_length", "equivariant", "messages"})
    kinds: ClassVar[tuple[type[IO], ...]] = (Graphs,)

    steps: int = 10
    cores: str = "shared"  # shared | separate: weights for each step
    reduce: str = "sum"  # sum | mean | max | min | std | softmax | pna
    flow: str = "full"  # full | local | message | independent
    decoded: str = "asked"  # asked | all, as in the demos
    start: str = "torch"  # torch | sonnet, as in the demos
    answers: str = "last"  # last | every | later: in training, those of every step, or of the later half of the steps

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least_one(self, "steps")
        known(
            self,
            cores=CORES,
            reduce=(*REDUCERS, "pna"),
            flow=tuple(FLOWS),
            decoded=DECODED,
            answers=ANSWERED,
            start=STARTS,
        )

    def build(self, io: IO) -> nn.Module:
        """`Graph` -> `Graph` of logits or numbers, None where nothing is asked."""
        self.check(io)
        return EncodeProcessDecode.sized(
            io,  # type: ignore[arg-type]
            self.width,
            self.depth,
            reduce=self.reduce,
            cores=1 if self.cores == "shared" else self.steps,
            steps=self.steps,
            flow=self.flow,
            decoded=self.decoded,
            start=self.start,
            every_step=self.answers != "last",
            answered=self.steps // 2 + 1 if self.answers == "later" else 1,
        )

    def closed_form(self, io: IO) -> ClosedForm | None:
        """Of an answer to one graph of `io.length` nodes and `io.links` edges; a token is a node."""
        self.check(io)
        assert isinstance(io, Graphs)
        tally, rows = Tally(), {"nodes": io.length, "edges": io.links, "globals": 1}
        encoded = [name for name in rows if name != "globals" or self.flow != "local"]
        for name in encoded:
            tally.linear(rows[name], io.read[name] or 1, self.width, end=True)
            tally.behind(rows[name], self.width, self.depth)
        for name in encoded if self.decoded == "all" else [name for name in rows if name in io.asked]:
            tally.perceptron(rows[name], self.width, self.depth, (rows[name],))
        for name, outputs in io.asked.items():
            tally.linear(rows[name], self.width, outputs, end=True)
        tally.add(self._core(rows), weights=1 if self.cores == "shared" else self.steps, uses=self.steps)
        return form_of(tally, io)

    def _core(self, rows: dict[str, int]) -> Tally:
        """One core, used once. What is gathered to edges is projected before, once for each node."""
        tally, heard = Tally(), parts(reducer_of(self.reduce, 1.0))  # in widths: what a reducer gives
        nodes, edges = (rows["nodes"],) * 2, (rows["edges"],) * 2  # two graphs side by side
        whole = () if self.flow == "local" else (1, 1)
        ends = () if self.flow == "independent" else (*nodes, *nodes)
        tally.perceptron(rows["edges"], self.width, self.depth, (*edges, *ends, *whole))
        tally.perceptron(rows["nodes"], self.width, self.depth, (rows["nodes"],) * heard + nodes + whole)
        if whole:
            of_edges = heard * (2 if self.flow == "message" else 1)
            tally.perceptron(1, self.width, self.depth, (1,) * (of_edges + heard) + whole)
        return tally
