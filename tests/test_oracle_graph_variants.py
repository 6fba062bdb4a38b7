"""Variants against torch-geometric's layers with their weights, values and gradients (tests/oracles/make_graph_variants.py)."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import sparse
from torch import Tensor, nn

import allometry as al

gn = al.graph_networks
ORACLE = {
    name: torch.tensor(array)
    for name, array in np.load(Path(__file__).parent / "oracles" / "graph_variants.npz").items()
    if name != "versions"
}
HEADS, WIDTH = 2, 3


class Biased(nn.Module):
    """x + b: torch-geometric's bias after the sum."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias


def linear(outputs: int, bias: bool = True) -> nn.Linear:
    return nn.Linear(6, outputs, bias)


def gat() -> tuple[nn.Module, dict[str, nn.Parameter]]:
    block = gn.gat(WIDTH, HEADS, linear(6, bias=False), Biased(6))
    score = block.message
    embedding = score.embedding.module.weight
    return block, {
        "lin.weight": embedding,
        "att_dst": score.of_receiver,
        "att_src": score.of_sender,
        "bias": block.node.module.bias,
    }


def attention(variant) -> tuple[nn.Module, dict[str, nn.Parameter]]:
    query, key, value = (linear(6) for _ in range(3))
    more = {"offsets": ("keys", "values")} if variant is gn.relative_positions else {}
    parts = {"query": query, "key": key, "value": value}
    weights = {f"lin_{name}.{what}": getattr(part, what) for name, part in parts.items() for what in ("weight", "bias")}
    return variant(query, key, value, HEADS, **more), weights


def ggs_nn() -> tuple[nn.Module, dict[str, nn.Parameter]]:
    message, cell = linear(6, bias=False), gn.Gru(6, inputs=6)
    weights = {"rnn.weight_ih": cell.into.linear.weight, "rnn.bias_ih": cell.into.linear.bias}
    weights |= {"rnn.weight_hh": cell.hidden.weight, "rnn.bias_hh": cell.hidden.bias, "weight": message.weight}
    return gn.ggs_nn([message], cell, steps=1), weights


def gcn() -> tuple[nn.Module, dict[str, nn.Parameter]]:
    node = linear(WIDTH)
    return gn.gcn(node), {"lin.weight": node.weight, "bias": node.bias}


MODELS = {
    "gat": gat,
    "self_attention": lambda: attention(gn.self_attention),
    "relative_positions": lambda: attention(gn.relative_positions),
    "ggs_nn": ggs_nn,
    "gcn": gcn,
}


def theirs(name: str, ours: nn.Parameter) -> Tensor:
    """Their array in the shape of ours; GatedGraphConv multiplies from the right."""
    array = ORACLE[name]
    return array[0].T if name in ("ggs_nn weight", "ggs_nn gradient weight") else array.view(ours.shape)


def normalised(graph: al.Graph) -> al.Graph:
    """D^-1/2 (A + I) D^-1/2 of each graph, D of what a node receives."""
    matrices = []
    for one in graph.edit(nodes=None, edges=None).to_scipy():
        whole = one.astype(np.float64) + sparse.eye_array(one.shape[0])
        scale = sparse.diags_array(whole.sum(axis=0) ** -0.5)
        matrices.append(scale @ whole @ scale)
    return al.Graph.from_scipy(matrices, nodes=graph.nodes)


@pytest.mark.parametrize("name", MODELS)
def test_values_and_gradients_are_those_of_torch_geometric(name) -> None:
    model, weights = MODELS[name]()
    model.double()
    for theirs_name, parameter in weights.items():
        parameter.data = theirs(f"{name} {theirs_name}", parameter).clone()
    assert set(weights.values()) == set(model.parameters())
    features = {part: ORACLE[part].clone().requires_grad_() for part in ("nodes", "edges")}
    graph = al.graph(ORACLE["senders"], ORACLE["receivers"], ORACLE["n_node"], ORACLE["n_edge"], **features)
    graph = normalised(graph) if name == "gcn" else graph
    out = model(graph).nodes
    assert (out - ORACLE[f"{name} out"]).abs().max() < 1e-12
    (out * ORACLE[f"{name} seed"]).sum().backward()
    for theirs_name, parameter in weights.items():
        wanted = theirs(f"{name} gradient {theirs_name}", parameter)
        assert (parameter.grad - wanted).abs().max() <= 1e-12 * wanted.abs().max().clamp(min=1), theirs_name
    for part in ("nodes", "edges") if name == "relative_positions" else ("nodes",):
        wanted = ORACLE[f"{name} gradient {part}"]
        assert (features[part].grad - wanted).abs().max() <= 1e-12 * wanted.abs().max().clamp(min=1)
