"""Graph network that encodes, processes and decodes (Battaglia et al. 2018, arXiv:1806.01261; the demos of graph_nets).

Edges, nodes and graphs read each other in `steps` steps of message passing; how far anything travels is set by the steps, and what
travels by the graph. Every perceptron has `depth` layers of `width`; at the demos' 16 and 2 it is their model.

Sizes are matched by weights, and those of a core that all steps share count once: steps are free to be others at the test. So it
departs from the sequence families that share layers, whose weights count once for each use. The FLOPs are those of all steps.
"""

from typing import ClassVar

from torch import nn

from allometry.flow import IO, Graphs, Refusal
from allometry.model._family import ClosedForm, Family
from allometry.model.graph_network._reduce import REDUCERS
from allometry.model.graph_network.encode_process_decode import DECODED, FLOWS, STARTS, EncodeProcessDecode

CORES = ("shared", "separate")
ANSWERED = ("last", "every", "later")
PARTS = {"pna": 12}  # widths of what a reducer gives, in those of a row; 1 of all others


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
        known = {
            "cores": CORES, "reduce": (*REDUCERS, "pna"), "flow": tuple(FLOWS), "decoded": DECODED, "answers": ANSWERED,
            "start": STARTS,
        }  # fmt: skip
        for name, some in known.items():
            if getattr(self, name) not in some:
                raise Refusal(f"GraphNetwork({name}={getattr(self, name)!r}) is not known. It is one of: {', '.join(some)}.")

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
        rows = {"nodes": io.length, "edges": io.links, "globals": 1}  # type: ignore[union-attr]
        read = {"nodes": io.nodes, "edges": io.edges, "globals": io.globals}  # type: ignore[union-attr]
        asked = {"nodes": io.of_nodes, "edges": io.of_edges, "globals": io.of_graphs}  # type: ignore[union-attr]
        width, known = self.width, {name for name in rows if name != "globals" or self.flow != "local"}
        square = width * width
        behind = (self.depth - 1) * (square + width) + 2 * width  # the layers after the first, and the norm
        ends = {name: width * (max(1, read[name]) + 1) for name in known}  # layers that read or answer
        answers = {name: (width + 1) * outputs for name, outputs in asked.items() if outputs}
        kept = known if self.decoded == "all" else set(answers)
        around = len(known) * behind + len(kept) * (square + width + behind)
        core, core_flops = self._core(rows)
        inside = around + core * (1 if self.cores == "shared" else self.steps)
        layers = sum(2 * rows[name] * (max(1, read[name]) * width + (self.depth - 1) * square) for name in known)
        layers += sum(2 * rows[name] * self.depth * square for name in kept)
        layers += sum(2 * rows[name] * width * asked[name] for name in answers)
        return ClosedForm(
            parameters=inside + sum(ends.values()) + sum(answers.values()),
            non_embedding_parameters=inside,
            forward_flops_per_token=(layers + self.steps * core_flops) / rows["nodes"],
            state_numbers=0,  # nothing is generated
        )

    def _core(self, rows: dict[str, int]) -> tuple[int, float]:
        """Weights of one core, and the FLOPs of one step. What is gathered to edges is projected before, once for each node."""
        wide, heard = 2, PARTS.get(self.reduce, 1)  # in widths: two graphs side by side, what a reducer gives
        edge_reads = {"edges": wide}
        if self.flow != "independent":
            edge_reads |= {"receivers": wide, "senders": wide}
        node_reads = {"received": heard, "nodes": wide}
        updates = {"edges": edge_reads, "nodes": node_reads}
        if self.flow != "local":
            edge_reads["globals"] = node_reads["globals"] = wide
            of_edges = heard * (wide if self.flow == "message" else 1)
            updates["globals"] = {"of_edges": of_edges, "of_nodes": heard, "whole": wide}
        gathered = {"receivers": "nodes", "senders": "nodes", "globals": "globals"}
        square, weights, flops = self.width * self.width, 0, 0
        for name, reads in updates.items():
            weights += sum(reads.values()) * square + self.width + (self.depth - 1) * (square + self.width) + 2 * self.width
            flops += sum(2 * rows[gathered.get(read, name)] * count * square for read, count in reads.items())
            flops += 2 * rows[name] * (self.depth - 1) * square
        return weights, flops
