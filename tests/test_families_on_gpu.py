"""Every family on a GPU gives what it gives on a CPU, and trains there. Skipped where there is none."""

from types import SimpleNamespace

import pytest
import torch
from graph_samples import apart, irregular
from test_families import SMALL, every_form
from test_graph_families import SMALL as GRAPHS
from test_graph_families import every_family

import allometry as al
from allometry.flow import Graphs
from allometry.graph import batch
from allometry.train.example import example
from allometry.train.loop import Setting, train_step
from allometry.train.recipe import Recipe

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@every_form
def test_a_gpu_gives_what_a_cpu_gives(family, kind) -> None:
    torch.manual_seed(0)
    model = family.at(6, kind).build(SMALL[kind])
    inputs, targets = example(SMALL[kind], 4)
    with torch.no_grad():
        here = model.eval()(*inputs)
        there = model.cuda()(*(part.cuda() for part in inputs)).cpu()
    assert (here - there).abs().max() < 1e-3 * (1 + here.abs().max())
    for precision in ("fp32", "bf16"):
        optimizer = Recipe(rate=1e-3).optimizer(model.train())
        setting = Setting(device="cuda", precision=precision)
        losses = [float(train_step(model, optimizer, (inputs, targets), setting=setting)) for _ in range(8)]
        assert losses[-1] < losses[0]


@every_family
def test_a_gpu_answers_graphs_as_a_cpu_does(family) -> None:
    torch.manual_seed(0)
    model = family.at(6, Graphs).build(GRAPHS)
    inputs, targets = example(GRAPHS, 4)
    with torch.no_grad():
        here = model.eval()(*inputs)
        there = model.cuda()(*(part.to("cuda") for part in inputs)).to("cpu")
    assert apart(here, there) < 1e-3 * (1 + max(part.abs().max() for part in (here.nodes, here.edges, here.globals)))
    for precision in ("fp32", "bf16"):
        optimizer = Recipe(rate=1e-3).optimizer(model.train())
        setting = Setting(device="cuda", precision=precision)
        losses = [float(train_step(model, optimizer, (inputs, targets), setting=setting)) for _ in range(8)]
        assert losses[-1] < losses[0]


@pytest.mark.parametrize("reduce", ["mean", "max", "std", "softmax", "pna"])
def test_a_reducer_on_a_gpu_gives_what_it_gives_on_a_cpu(reduce) -> None:
    """Values and gradients, in fp64."""
    torch.manual_seed(0)
    model = al.family("graph_network").at(3, Graphs).edit(reduce=reduce).build(GRAPHS).double()
    graph = irregular(GRAPHS.nodes, GRAPHS.edges, 0)
    found = []
    for device in ("cpu", "cuda"):
        model.to(device).zero_grad()
        said = model(graph.to(device))
        (said.nodes.square().sum() + said.edges.square().sum() + said.globals.square().sum()).backward()
        found.append((said.to("cpu"), [weight.grad.cpu() for weight in model.parameters() if weight.grad is not None]))
    assert apart(found[0][0], found[1][0]) < 1e-9
    for here, there in zip(found[0][1], found[1][1], strict=True):
        torch.testing.assert_close(here, there, rtol=1e-8, atol=1e-9)


def test_a_graph_made_on_a_gpu_is_all_there() -> None:
    ends, x = torch.tensor([[0, 1, 2], [1, 2, 0]], device="cuda"), torch.ones(3, 4, device="cuda")
    weights = torch.eye(3, device="cuda")[None]
    for graph in (
        al.graph(*ends, 3, nodes=x),
        al.graph(*ends, [3, 0], [3, 0], nodes=x),
        al.graph(ends[0], [1, 2, 0], torch.tensor([3]), nodes=x),
        al.Graph.from_torch_geometric(SimpleNamespace(edge_index=ends, x=x, num_nodes=3)),
        al.Graph.from_torch_geometric(SimpleNamespace(x=x, num_nodes=3)),
        al.Graph.from_dense(x[None], adjacency=weights),
    ):
        for one in (graph, batch([graph, graph]), graph[0]):
            parts = (one.senders, one.receivers, one.n_node, one.n_edge, one.nodes)
            assert {part.device for part in parts} == {x.device}
        assert graph.to("cuda").wiring is graph.wiring  # "cuda" is the device in use, "cuda:0"
