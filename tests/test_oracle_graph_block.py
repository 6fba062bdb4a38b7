"""The block against jraph's GraphNetwork and torch-geometric's MetaLayer with its weights (tests/oracles/make_graph_block.py)."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import allometry as al
from allometry.model.graph_network._update import Mlp

PLACE = Path(__file__).parent / "oracles" / "graph_block.npz"
ORACLE = {name: torch.tensor(array) for name, array in np.load(PLACE).items() if name != "versions"}
FEATURES = ("nodes", "edges", "globals")


def built(reduce: str) -> tuple[al.GraphBlock, dict[str, Tensor]]:
    """A block of the oracle's weights, and these by their names."""
    updates = Mlp([8, 6], 15), Mlp([8, 4], 13), Mlp([8, 5], 12)
    block = al.GraphBlock(*updates, received=reduce, of_edges=reduce, of_nodes=reduce).double()
    weights = {}
    for name in ("edge", "node", "globals"):
        update = getattr(block, name)
        for number, layer in enumerate((update.first.linear, update.others[0])):
            weights |= {f"{name} {number} weight": layer.weight, f"{name} {number} bias": layer.bias}
    for name, parameter in weights.items():
        parameter.data = ORACLE[name].clone()
    return block, weights


@pytest.mark.parametrize("reduce", ["sum", "mean", "max", "min"])
@pytest.mark.parametrize("library", ["jraph", "metalayer"])
def test_values_and_gradients_are_those_of_the_library(library, reduce) -> None:
    block, leaves = built(reduce)
    features = {name: ORACLE[name].clone().requires_grad_() for name in FEATURES}
    graph = al.graph(ORACLE["senders"], ORACLE["receivers"], ORACLE["n_node"], ORACLE["n_edge"], **features)
    out = block(graph)
    for name in FEATURES:
        assert (getattr(out, name) - ORACLE[f"{library} {reduce} {name}"]).abs().max() < 1e-12
    sum((getattr(out, name) * ORACLE[f"seed {name}"]).sum() for name in FEATURES).backward()
    for name, leaf in (features | leaves).items():
        theirs = ORACLE[f"{library} {reduce} gradient {name}"]
        assert (leaf.grad - theirs).abs().max() <= 1e-12 * theirs.abs().max().clamp(min=1), name
