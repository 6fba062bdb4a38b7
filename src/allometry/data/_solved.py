"""How well graphs are answered: how many are solved as a whole, how many single answers are wrong, and how far a rollout strays."""

import dataclasses
from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from allometry.flow import Refusal
from allometry.graph import FEATURES, Graph


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Solved:
    """The answers to a batch of graphs, counted in each.

    The share of graphs that are solved falls with their size by itself, as more answers have to be right; the error per answer
    does not.
    """

    asked: Int[Tensor, " graphs"]  # answers
    wrong: Int[Tensor, " graphs"]  # of these

    @property
    def graphs(self) -> Bool[Tensor, " graphs"]:
        """Is every answer right? A graph of which nothing is asked is solved."""
        return self.wrong == 0

    @property
    def fraction(self) -> float:
        """Share of the graphs that are solved."""
        return float(self.graphs.double().mean())

    @property
    def error(self) -> float:
        """Share of all answers that are wrong, nodes, edges and graphs together; the demos report 1 - this as correct."""
        return int(self.wrong.sum()) / int(self.asked.sum())


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
    return Solved(asked=asked, wrong=wrong)


def rolled_out(model: Callable[[Graph], Graph], start: Graph, steps: int, step: float) -> Float[Tensor, "frames nodes 2"]:
    """Velocities at the start and after each step of a model that is fed its own answers.

    A node is place (2), velocity (2) and what stays; the model answers the next velocities of the nodes, and places follow from
    these for all nodes: x' = x + step v'. So it must have learned which are fixed.
    """
    now, frames = start, [_nodes(start)[:, 2:4]]
    for _ in range(steps):
        velocity = _nodes(model(now))
        state = _nodes(now)
        now = now.edit(nodes=torch.cat([state[:, :2] + step * velocity, velocity, state[:, 4:]], dim=1))
        frames.append(velocity)
    return torch.stack(frames)


def rollout_error(said: Float[Tensor, "frames nodes 2"], truth: Float[Tensor, "frames nodes 2"]) -> float:
    """Mean over frames and nodes of the squared error of the velocity, both numbers summed: as the demo reports it.

    The first frame is given, and counts as one without error.
    """
    return float(((said.double() - truth.double()) ** 2).sum(-1).mean())


def _nodes(graph: Graph) -> Tensor:
    if graph.nodes is None:
        raise Refusal("There is no node feature to roll out. Nodes hold place, velocity and what stays.")
    return graph.nodes
