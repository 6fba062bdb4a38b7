"""Graph networks under autocast: products in bf16, states in the precision in which they were given."""

import pytest
import torch

import allometry as al

gn = al.graph_networks

NETWORKS = {
    "gru, a node by itself": lambda: al.GraphBlock(node=gn.Gru(8), node_reads=("globals", "nodes")),
    "gru": lambda: al.GraphBlock(edge=gn.Mlp([8]), node=gn.Gru(8), globals=gn.Gru(8)),
    "lstm": lambda: al.GraphBlock(edge=gn.Mlp([8]), node=gn.Lstm(4)),
    "mpnn": lambda: gn.mpnn(gn.Mlp([8]), gn.Gru(8), gn.Mlp([8])),
    "ggs_nn": lambda: gn.ggs_nn([gn.Mlp([8]), gn.Mlp([8])], gn.Gru(8), 3, gn.GatedSum(gn.Mlp([8]), gn.Mlp([8]))),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_states_keep_their_precision_under_autocast(name: str) -> None:
    torch.manual_seed(0)
    graph = al.graph(
        [0, 1, 2, 2, 4], [1, 2, 0, 1, 3], [3, 2, 0], [4, 1, 0],
        nodes=torch.randn(5, 8), edges=torch.randn(5, 8), globals=torch.randn(3, 8), edge_types=torch.tensor([0, 1, 0, 1, 1]),
    )  # fmt: skip
    network = NETWORKS[name]()
    exact = network(graph)  # and the widths of lazy layers are known
    with torch.autocast("cpu", torch.bfloat16):
        rough = network(graph)
    assert rough.nodes.dtype == torch.float32
    for part in ("nodes", "globals"):
        torch.testing.assert_close(getattr(rough, part).float(), getattr(exact, part), atol=0.05, rtol=0.05)
    sum(getattr(rough, part).float().sum() for part in ("nodes", "globals")).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())
    assert any(p.grad is not None and p.grad.abs().max() > 0 for p in network.parameters())
