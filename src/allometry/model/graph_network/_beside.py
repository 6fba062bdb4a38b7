"""Two graphs of one wiring side by side: each attribute is that of the first, then that of the second, on the last axis."""

import torch
from torch import Tensor

from allometry.flow import Refusal
from allometry.graph import FEATURES, Graph


def beside(first: Graph, second: Graph) -> Graph:
    """The first graph with the attributes of both; what one of them lacks is that of the other."""
    for name in ("nodes", "edges", "graphs"):
        one, other = getattr(first.wiring, name), getattr(second.wiring, name)
        if one != other:
            raise Refusal(f"A graph of {one} {name} cannot stand beside one of {other}. They take one wiring.")
    if not first.wiring.same(second.wiring):
        raise Refusal(
            "Two graphs cannot stand side by side whose nodes are joined otherwise. They take one wiring: graph.edit(...)."
        )
    return first.edit(**{name: _joined(getattr(first, name), getattr(second, name)) for name in FEATURES})


def _joined(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    if first is None or second is None:
        return first if second is None else second
    return torch.cat([first, second], -1)


def filled(graph: Graph) -> Graph:
    """The graph with a single 1 where it has no attribute: a constant of which every weight learns."""
    like = next(
        (value for name in FEATURES if (value := getattr(graph, name)) is not None and value.is_floating_point()), None
    )
    kind = {"dtype": torch.get_default_dtype() if like is None else like.dtype, "device": graph.senders.device}
    rows = {"nodes": graph.wiring.nodes, "edges": graph.wiring.edges, "globals": graph.wiring.graphs}
    missing = {name: torch.ones(count, 1, **kind) for name, count in rows.items() if getattr(graph, name) is None}
    return graph.edit(**missing) if missing else graph
