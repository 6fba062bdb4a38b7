"""Writes graph_variants.npz: torch-geometric's GATConv, TransformerConv, GatedGraphConv and GCNConv, in float64, with gradients.

    pip install torch-geometric==2.8.1 && python tests/oracles/make_graph_variants.py

Self-loops are not added to GATConv's graph, and are to GCNConv's. The batch has an empty graph and a node without
edges; to torch-geometric's layers it is one graph. No edge stands twice: GCNConv is compared on an adjacency matrix.
"""

from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torch_geometric.nn import GATConv, GatedGraphConv, GCNConv, TransformerConv

N_NODE, N_EDGE = np.array([4, 0, 1, 4]), np.array([4, 0, 0, 5])
SENDERS, RECEIVERS = np.array([0, 2, 3, 1, 6, 8, 5, 8, 7]), np.array([1, 1, 1, 2, 7, 5, 8, 6, 6])
NODES, HEADS, WIDTH = 6, 2, 3
LAYERS = {
    "gat": lambda: GATConv(NODES, WIDTH, HEADS, add_self_loops=False, bias=True),
    "self_attention": lambda: TransformerConv(NODES, WIDTH, HEADS, root_weight=False),
    "relative_positions": lambda: TransformerConv(NODES, WIDTH, HEADS, root_weight=False, edge_dim=HEADS * WIDTH),
    "ggs_nn": lambda: GatedGraphConv(NODES, num_layers=1),
    "gcn": lambda: GCNConv(NODES, WIDTH),
}


def main() -> None:
    torch.manual_seed(0)
    ends = torch.tensor(np.stack([SENDERS, RECEIVERS]))
    drawn = {"nodes": torch.randn(9, NODES).double(), "edges": torch.randn(9, HEADS * WIDTH).double()}
    arrays = {"senders": SENDERS, "receivers": RECEIVERS, "n_node": N_NODE, "n_edge": N_EDGE}
    arrays |= {name: value.numpy() for name, value in drawn.items()}
    for name, make in LAYERS.items():
        layer = make().double()
        if name == "relative_positions":  # edges are added as they are
            layer.lin_edge.weight.data = torch.eye(HEADS * WIDTH).double()
        for parameter in layer.parameters():
            if parameter.ndim == 1:  # biases, which start at 0
                parameter.data = torch.randn_like(parameter)
        x, edges = (drawn[part].clone().requires_grad_() for part in ("nodes", "edges"))
        out = layer(x, ends, edges) if name == "relative_positions" else layer(x, ends)
        seed = torch.randn_like(out)
        (out * seed).sum().backward()
        arrays |= {
            f"{name} out": out.detach().numpy(),
            f"{name} seed": seed.numpy(),
            f"{name} gradient nodes": x.grad.numpy(),
        }
        if edges.grad is not None:
            arrays[f"{name} gradient edges"] = edges.grad.numpy()
        for weight, parameter in layer.named_parameters():
            if parameter.grad is None:  # of a part that is off
                continue
            arrays[f"{name} {weight}"] = parameter.detach().numpy()
            arrays[f"{name} gradient {weight}"] = parameter.grad.numpy()
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch-geometric", "torch"))
    place = Path(__file__).with_name("graph_variants.npz")
    np.savez_compressed(place, versions=versions, **arrays)
    print(place.stat().st_size, versions, *sorted(arrays), sep="\n")


if __name__ == "__main__":
    main()
