"""docs/relations.md: its code runs, and its table of variants is what the blocks are."""

import re
from pathlib import Path

import pytest
import torch
from torch import nn

import allometry as al

TEXT = (Path(__file__).parents[1] / "docs" / "relations.md").read_text()
gn = al.graph_networks
ROWS = [
    [field.strip() for field in line.split("|")[1:-1]] for line in TEXT.splitlines() if "`gn." in line and line[0] == "|"
]


def test_the_python_of_the_document_runs() -> None:
    """All blocks one after another, as a reader would type them."""
    blocks = re.findall(r"^```python\n(.*?)^```$", TEXT, flags=re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 7
    names: dict = {}
    for block in blocks:
        exec(block, names)


def test_every_variant_is_in_the_table() -> None:
    named = {re.search(r"`gn\.(\w+)\(", row[-1]).group(1) for row in ROWS}
    assert named == {name for name in gn.__all__ if name.islower()} - {"attention_weights", "rollout", "unrolled"}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_the_line_of_a_variant_runs_and_reads_what_the_table_says(row) -> None:
    _, of_edges, to_nodes, of_nodes, to_graphs, of_graphs, code = row
    block = eval(code.strip("`"))
    graph = al.graph(
        [0, 1, 2, 2, 4], [1, 2, 0, 1, 3], [3, 2, 0], [4, 1, 0],
        nodes=torch.randn(5, 8), edges=torch.randn(5, 8), globals=torch.randn(3, 8),
    )  # fmt: skip
    out = block(graph)
    assert bool(of_nodes) == (out.nodes is not graph.nodes)
    assert bool(of_graphs) == (out.globals is not graph.globals)
    assert bool(of_edges and "(m)" not in of_edges) == (out.edges is not graph.edges)
    if isinstance(block, nn.Sequential) or "gcn" in code:  # of several blocks, or said in other words
        return
    edge = "message" if "(m)" in of_edges else "edge"
    for which, said in ((edge, of_edges), ("node", of_nodes), ("globals", of_graphs)):
        assert (getattr(block, which) is not None) == bool(said)
        if said:
            assert block.reads[which] == tuple(re.findall(r"\w{3,}", said))
    if "received" in of_nodes:
        assert isinstance(block.received, gn.attention.Attention) == (to_nodes == "attention")
    assert bool(to_graphs) == bool({"edges", "nodes"} & set(re.findall(r"\w+", of_graphs)))
