"""networkx: Graph, DiGraph, MultiGraph and MultiDiGraph, one or a list, to a batch and back.

Nodes have numbers in the order of `graph.nodes`. An undirected edge becomes two, one each way, and a self-edge one. Attributes are
read by name: one name of numbers or arrays, or several, side by side; unless others are asked, "features", and "type" where it is a
whole number. Numbers become torch's default float, arrays keep their type. networkx lists edges by sender: `to_networkx` numbers
them, as "index", and says so in the graph's own attribute "edge_order"; where that stands, the batch has them in that order.
"""

from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import torch
from torch import Tensor

from allometry.flow import Refusal
from allometry.graph import Graph, graph
from allometry.graph_conversions._arrays import array
from allometry.graph_conversions._convertible import Names
from allometry.graph_conversions._needed import needed

Rows = Sequence[Mapping[Any, Any]]
NUMBERED = {"edge_order": "index"}  # of a graph whose edges have an order of their own


def from_networkx(graphs: Any, nodes: Names = None, edges: Names = None, globals: Names = None) -> Graph:
    """A batch. Raises Refusal where some have an attribute and some have none.

    An attribute that nothing has, for there are no nodes or no edges, is missing from the batch.
    """
    some = [graphs] if hasattr(graphs, "is_directed") else list(graphs)
    of_nodes: list[Mapping] = []
    of_edges: list[Mapping] = []
    senders: list[int] = []
    receivers: list[int] = []
    n_edge = []
    for one in some:
        place = {label: len(of_nodes) + number for number, label in enumerate(one.nodes)}
        links = _links(one)
        senders += [place[link[0]] for link in links]
        receivers += [place[link[1]] for link in links]
        of_nodes += [data for _, data in one.nodes(data=True)]
        of_edges += [link[2] for link in links]
        n_edge.append(len(links))
    return graph(
        senders,
        receivers,
        [len(one) for one in some],
        n_edge,
        nodes=_features(of_nodes, nodes, "nodes"),
        edges=_features(of_edges, edges, "edges"),
        globals=_features([one.graph for one in some], globals, "graphs"),
        node_types=_types(of_nodes),
        edge_types=_types(of_edges),
    )


def to_networkx(
    graphs: Graph, nodes: str | Sequence[str] = "features", edges: str | Sequence[str] = "features"
) -> list[Any]:
    """A MultiDiGraph for each graph. One name is of whole rows, as numpy arrays; several are of the channels, as numbers:
    `to_networkx(edges=["weight"])` is what networkx' algorithms read."""
    networkx = needed("networkx")
    found = []
    for one in graphs:
        whole = {} if one.globals is None else {"features": array(one.globals[0])}
        made = networkx.MultiDiGraph(**NUMBERED, **whole)
        made.add_nodes_from(enumerate(_rows(one.wiring.nodes, one.nodes, one.node_types, nodes)))
        data = _rows(one.wiring.edges, one.edges, one.edge_types, edges)
        ends = zip(one.senders.tolist(), one.receivers.tolist(), data, strict=True)
        made.add_edges_from((sender, receiver, {"index": k, **rest}) for k, (sender, receiver, rest) in enumerate(ends))
        found.append(made)
    return found


def _links(one: Any) -> list[tuple[Any, Any, Mapping]]:
    """Directed edges, by their index where the graph says that it is one."""
    links = list(one.edges(data=True))
    if not one.is_directed():
        return [*links, *((receiver, sender, data) for sender, receiver, data in links if sender != receiver)]
    index = [data.get("index") for _, _, data in links]
    if (
        NUMBERED.items() <= one.graph.items()
        and all(isinstance(number, Integral) for number in index)
        and sorted(index) == list(range(len(links)))
    ):
        links.sort(key=lambda link: link[2]["index"])
    return links


def _features(rows: Rows, names: Names, what: str) -> Tensor | None:
    if names is None:
        names = "features"
        if not any(names in row for row in rows):
            return None
    if isinstance(names, str):
        return _column(rows, names, what) if rows else None
    if not names:
        raise Refusal(f"No name of the {what} was given. Give one or several, or None for 'features' where they are.")
    columns = [_column(rows, name, what) for name in names]
    for name, column in zip(names, columns, strict=True):
        if column.ndim != 2:
            raise Refusal(f"'{name}' of the {what} is of {column.ndim - 1} axes. Side by side stand numbers and vectors.")
    return torch.cat(columns, 1)


def _column(rows: Rows, name: str, what: str) -> Tensor:
    """Float[rows channels], of numbers one channel; or as many axes more as each has."""
    missing = [number for number, row in enumerate(rows) if name not in row]
    if missing:
        has = sorted({str(key) for row in rows for key in row}) or "nothing"
        raise Refusal(
            f"'{name}' is missing from {len(missing)} of {len(rows)} {what}, first number {missing[0]}. They have {has}."
        )
    values = [row[name] for row in rows]
    if all(isinstance(value, Real) for value in values):
        return torch.tensor([float(value) for value in values])[:, None]
    try:
        found = torch.stack([torch.as_tensor(value) for value in values])
    except (TypeError, ValueError, RuntimeError) as fault:
        raise Refusal(f"'{name}' of the {what} is no number and no array of one shape, as {values[0]!r}: {fault}") from fault
    return found[:, None] if found.ndim == 1 else found


def _types(rows: Rows) -> Tensor | None:
    types = [row.get("type") for row in rows]
    if not types or not all(isinstance(kind, Integral) and not isinstance(kind, bool) for kind in types):
        return None
    return torch.tensor(types)


def _rows(count: int, features: Tensor | None, types: Tensor | None, names: str | Sequence[str]) -> Iterable[dict[str, Any]]:
    """What each node or edge has."""
    rows: list[dict[str, Any]] = [{} for _ in range(count)]
    if features is not None:
        if isinstance(names, str):
            for row, value in zip(rows, array(features), strict=True):
                row[names] = value
        elif features.shape[1:] != (len(names),):
            raise Refusal(
                f"{len(names)} names were given for features of shape {list(features.shape[1:])}. Give one for each channel."
            )
        else:
            for row, values in zip(rows, features.tolist(), strict=True):
                row.update(zip(names, values, strict=True))
    if types is not None:
        for row, kind in zip(rows, types.tolist(), strict=True):
            row["type"] = kind
    return rows
