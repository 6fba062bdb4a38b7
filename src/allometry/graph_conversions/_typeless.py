"""Forms that have no place for types refuse them."""

from allometry.flow import Refusal
from allometry.graph import Graph


def typeless(graphs: Graph, form: str) -> None:
    for name in ("node_types", "edge_types"):
        if getattr(graphs, name) is not None:
            raise Refusal(f"{form} has no place for {name}. Leave them out with `graph.edit({name}=None)`.")
