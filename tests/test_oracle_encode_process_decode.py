"""Encode-process-decode against the demos' model of graph_nets with its weights (tests/oracles/make_encode_process_decode.py)."""

from pathlib import Path

import numpy as np
import pytest
import torch

import allometry as al
from allometry.flow import Graphs

PLACE = Path(__file__).parent / "oracles" / "encode_process_decode.npz"
ORACLE = {name: torch.tensor(array) for name, array in np.load(PLACE).items() if name != "versions"}
STEPS = 10
SHORTEST_PATH = Graphs(nodes=5, edges=1, globals=1, of_nodes=2, of_edges=2)


def built() -> tuple[al.EncodeProcessDecode, dict[str, torch.nn.Parameter]]:
    """The demos' model with the oracle's weights, and these by their names there."""
    model = al.EncodeProcessDecode.sized(SHORTEST_PATH, decoded="all", steps=STEPS, every_step=True)
    found = {}
    for part, block in (("encoder", model.encoder), ("core", model.process.cores[0]), ("decoder", model.decoder)):
        for field in ("edge", "node", "globals"):
            mlp = getattr(block, field)
            for number, layer in (("0", mlp.first.linear), ("1", mlp.others[0]), ("norm", mlp.norm)):
                name = f"{part} {field} {number}"
                found |= {f"{name} weight": layer.weight, f"{name} bias": layer.bias}
    for field in ("edges", "nodes"):
        layer = model.outputs[f"of_{field}"]
        found |= {f"output {field} weight": layer.weight, f"output {field} bias": layer.bias}
    for name, parameter in found.items():
        assert parameter.shape == ORACLE[f"weight {name}"].shape
        parameter.data = ORACLE[f"weight {name}"].clone()
    assert {id(one) for one in found.values()} == {id(one) for one in model.parameters()}
    return model, found


def test_ten_steps_are_those_of_graph_nets() -> None:
    model, weights = built()
    features = {name: ORACLE[name] for name in ("nodes", "edges", "globals")}
    graph = al.graph(ORACLE["senders"], ORACLE["receivers"], ORACLE["n_node"], ORACLE["n_edge"], **features)
    answers = model.train()(graph)
    assert len(answers) == STEPS
    loss = torch.zeros(())
    for step, answer in enumerate(answers):
        assert answer.globals is None
        for name in ("nodes", "edges"):
            assert (getattr(answer, name) - ORACLE[f"answers {name}"][step]).abs().max() <= 1e-5
            loss = loss + (getattr(answer, name) * ORACLE[f"seed {name}"][step]).sum()
    loss.backward()
    for name, weight in weights.items():
        theirs = ORACLE[f"gradient {name}"]
        if weight.grad is None:  # the decoder of globals, which nothing asks
            assert name.startswith("decoder globals")
            assert theirs.abs().max() == 0
        else:  # sums over ten steps, in fp32
            assert (weight.grad - theirs).abs().max() <= 1e-4 * theirs.abs().max().clamp(min=1), name
    last = model.eval()(graph)
    assert torch.equal(last.nodes, answers[-1].nodes)
    assert torch.equal(last.edges, answers[-1].edges)


@pytest.mark.parametrize(
    ("io", "parameters", "tensors"),
    [
        (SHORTEST_PATH, 8180, 58),
        (Graphs(nodes=1, edges=1, globals=1, of_nodes=2, of_edges=2), 8116, 58),
        (Graphs(nodes=5, edges=2, globals=2, of_nodes=2, loss="squared"), 8178, 56),
    ],
    ids=["shortest path", "sort", "physics"],
)
def test_it_has_the_parameters_of_the_demos(io, parameters, tensors) -> None:
    demo = list(al.EncodeProcessDecode.sized(io, decoded="all").parameters())
    assert (sum(one.numel() for one in demo), len(demo)) == (parameters, tensors)
    family = al.family("graph_network")(width=16, depth=2, decoded="all")
    assert sum(one.numel() for one in family.build(io).parameters()) == parameters
    assert family.closed_form(io).parameters == parameters
