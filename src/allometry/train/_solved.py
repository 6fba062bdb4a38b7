"""How many answers to graphs are wrong, counted in each graph.

The share of graphs in which none is falls with their size by itself, as more answers have to be right; the share of wrong answers
does not.
"""

from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from allometry.flow import Refusal
from allometry.graph import FEATURES, Graph


class Solved(NamedTuple):
    """The answers to a batch of graphs: a graph of which none is wrong is solved, one of which nothing is asked too."""

    asked: Int[Tensor, " graphs"]  # answers, of nodes, edges and the graph together
    wrong: Int[Tensor, " graphs"]  # of these


def solved(outputs: Graph, targets: Graph) -> Solved:
    """Compare scores of classes [rows classes] with the classes asked [rows]; negative ones are not asked.

    Outputs of what is not asked are not looked at. Both have one wiring.
    """
    wiring = targets.wiring
    graphs = torch.arange(wiring.graphs, device=wiring.n_node.device)
    asked, wrong = torch.zeros_like(graphs), torch.zeros_like(graphs)
    for name, graph in zip(FEATURES, (wiring.nodes_of.index, wiring.edges_of.index, graphs), strict=True):
        classes, scores = getattr(targets, name), getattr(outputs, name)
        if classes is None:
            continue
        if classes.is_floating_point():
            raise Refusal(f"{name} are asked for numbers, which are never quite right. Take their squared error.")
        if scores is None or len(scores) != len(classes):
            raise Refusal(f"{name} are asked, and there are {'no' if scores is None else len(scores)} answers of them.")
        here = classes >= 0
        asked.index_add_(0, graph, here.long())
        wrong.index_add_(0, graph, (here & (scores.argmax(-1) != classes)).long())
    return Solved(asked, wrong)
