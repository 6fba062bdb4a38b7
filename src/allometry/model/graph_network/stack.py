"""Blocks after one another: G'' = GN_2(GN_1(G)), with one set of weights for all steps or one for each (Battaglia et al., 4.3).

Without globals a node sees after m steps what is at most m edges away from it, against the direction of the edges.
"""

from collections.abc import Iterator, Sequence

from torch import nn
from torch.utils.checkpoint import checkpoint as forgetting

from allometry.flow import Refusal
from allometry.graph import FEATURES, Graph
from allometry.model.graph_network._beside import beside


class GraphStack(nn.Module):
    """Graph -> Graph. Step m has core m, and after the last of them the first again: one core is shared by all steps.

    `steps` may be set at any time, or for one call. With `skip` every core reads the first graph beside the last one. `checkpoint`
    keeps the graph between steps alone and computes each step again in the backward pass: less memory, a forward more.
    """

    def __init__(
        self,
        cores: nn.Module | Sequence[nn.Module],
        steps: int | None = None,  # None: each core once
        skip: bool = False,
        checkpoint: bool = False,
    ) -> None:
        super().__init__()
        self.cores = nn.ModuleList(
            [cores] if isinstance(cores, nn.Module) and not isinstance(cores, nn.ModuleList) else cores
        )
        if not self.cores:
            raise Refusal("GraphStack([]) has no core. Give one for all steps, or one for each.")
        self.steps = len(self.cores) if steps is None else at_least_one(steps)
        self.skip, self.checkpoint = skip, checkpoint

    def each(self, graph: Graph, steps: int | None = None, last: Graph | None = None) -> Iterator[Graph]:
        """The graph after every step. With `skip` the graph beside the first may be another: `last`."""
        count = at_least_one(self.steps if steps is None else steps)
        first, graph = graph, graph if last is None else last
        for step in range(count):
            core = self.cores[step % len(self.cores)]
            reads = (first, graph) if self.skip else (graph,)
            if self.checkpoint and self.training:
                graph = forgetting(_applied, core, *reads, use_reentrant=False, preserve_rng_state=True)
            else:
                graph = _applied(core, *reads)
            yield graph

    def forward(self, graph: Graph, steps: int | None = None, last: Graph | None = None) -> Graph:
        for after in self.each(graph, steps, last):
            last = after
        return last  # type: ignore[return-value]


def at_least_one(steps: int) -> int:
    """So many steps. Raises Refusal where there is none."""
    if steps < 1:
        raise Refusal(f"{steps} steps were asked of a stack of graph blocks. Ask for at least one.")
    return steps


def _applied(core: nn.Module, first: Graph, second: Graph | None = None) -> Graph:
    """One step. Side by side an attribute is wider; one that the core has no update for stays as it was."""
    if second is None:
        return core(first)  # type: ignore[no-any-return]
    both = beside(first, second)
    after: Graph = core(both)
    return after.edit(**{name: getattr(second, name) for name in FEATURES if getattr(after, name) is getattr(both, name)})
