"""Answers in graphs: logits of classes, or numbers, at nodes, edges and graphs.

A model maps a Graph to a Graph of the same wiring, whose nodes, edges and globals hold the answers `Float[rows outputs]` where
they are asked, classes of all or numbers of all. What is not asked is not looked at and may be anything. A model that works in
steps may give a list of such graphs, one for each: it is trained on the mean of their losses, as the demo of Battaglia et al. is,
so that each step comes nearer; the loss that is reported and all that is scored are those of the last.

The loss is the mean of the means: over the nodes asked, over the edges asked and over the graphs asked, and of these the mean. So a
graph with many edges does not drown its nodes.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from allometry.flow import Refusal
from allometry.graph import FEATURES, Graph
from allometry.train._answers import Answers
from allometry.train._solved import solved

NEVER = -100  # cross_entropy's own number for what is not asked


class InGraphs(Answers):
    """Targets in a Graph: a class at each row, negative where none is asked, or numbers; None where nothing is asked."""

    def asked(self, targets: Graph) -> dict[str, int]:
        """How many nodes, edges and graphs; where numbers are asked, how many numbers."""
        _are_classes(targets)
        return {name: _count(wanted) for name, wanted in _wanted(targets)}

    def said(self, out: Any, inputs: tuple[Any, ...]) -> list[Graph]:
        """The answer of each step; of most models there is one."""
        steps = list(out) if isinstance(out, list | tuple) else [out]
        if not steps or not all(isinstance(step, Graph) for step in steps):
            found = "no steps" if not steps else next(type(step).__name__ for step in steps if not isinstance(step, Graph))
            raise Refusal(
                f"The model answers graphs with {found}. It gives a Graph of the same wiring, graph.edit(nodes=...), or a list of "
                "them, one for each step."
            )
        for step in steps:
            _same(inputs[0], step)
        return [_precise(step) for step in steps]

    def losses(self, said: Sequence[Graph], targets: Graph, asked: dict[str, int]) -> tuple[Tensor, Tensor]:
        kinds = sum(count > 0 for count in asked.values())
        each = torch.stack(
            [
                _losses(name, said, wanted).flatten(1).sum(1) / max(1, asked[name] * kinds)
                for name, wanted in _wanted(targets)
            ]
        ).sum(0)
        return each.mean(), each[-1]

    def rows(self, said: Sequence[Graph], targets: Graph) -> tuple[Tensor, ...]:
        """Of each graph: its losses summed and how many they are, for each kind asked; where classes are asked, how many of
        all answers are asked and how many are wrong."""
        wiring = targets.wiring
        whole = torch.arange(wiring.graphs, device=wiring.n_node.device)
        groups = dict(zip(FEATURES, (wiring.nodes_of.index, wiring.edges_of.index, whole), strict=True))
        losses, counts, classes = [], [], _are_classes(targets)
        for name, wanted in _wanted(targets):
            each = _losses(name, said[-1:], wanted)[0].double()
            there = (wanted >= 0).double() if classes else torch.ones_like(each)
            for found, values in ((losses, each), (counts, there)):
                rows = values.flatten(1).sum(1) if values.ndim > 1 else values
                found.append(
                    torch.zeros(len(whole), dtype=torch.float64, device=rows.device).index_add_(0, groups[name], rows)
                )
        found = solved(said[-1], targets) if classes else None
        answers = () if found is None else (found.asked.cpu(), found.wrong.cpu())
        return torch.stack(losses, 1).cpu(), torch.stack(counts, 1).cpu(), *answers

    def together(
        self, rows: tuple[Tensor, ...], weights: Float[Tensor, "batch targets"]
    ) -> tuple[Float[Tensor, "batch targets"], float | None, float | None]:
        """Each graph as one target: the loss of all, and what this graph moves it by, to first order.

        The loss is a mean of ratios, sum of losses over number of answers. A graph that has its share of answers and of losses
        moves it by nothing; so the scatter of these rows over graphs gives the standard error of the loss (the delta method).
        """
        losses, counts, *answers = rows
        weight = weights.double()
        number = (counts * weight).sum(0)
        kinds = number > 0
        mean = (losses * weight).sum(0)[kinds] / number[kinds]
        moves = (losses[:, kinds] - mean * counts[:, kinds]) * (weight.sum() / number[kinds])
        each = mean.mean() + moves.mean(1, keepdim=True)
        if not answers:
            return each, None, None
        asked, wrong = (one[:, None] * weight for one in answers)
        accuracy = 1 - float(wrong.sum() / asked.sum())
        return each, accuracy, float(((answers[1] == 0)[:, None] * weight).sum() / weight.sum())

    def read(self, inputs: tuple[Graph, ...]) -> int:
        """Nodes, whatever the edges."""
        return sum(part.wiring.nodes for part in inputs)


def _wanted(targets: Graph) -> list[tuple[str, Tensor]]:
    """What is asked, by name."""
    return [(name, wanted) for name in FEATURES if (wanted := getattr(targets, name)) is not None]


def _are_classes(targets: Graph) -> bool:
    """Whether classes are asked, or numbers. Both at once have no one loss: raises Refusal."""
    names: dict[bool, list[str]] = {True: [], False: []}
    for name, wanted in _wanted(targets):
        names[not wanted.is_floating_point()].append(name)
    if names[True] and names[False]:
        raise Refusal(
            f"Of {' and '.join(names[True])} classes are asked, and of {' and '.join(names[False])} numbers. A batch of graphs is "
            "asked one or the other, by one loss."
        )
    return not names[False]


def _count(wanted: Tensor) -> int:
    return wanted.numel() if wanted.is_floating_point() else int((wanted >= 0).sum())


def _same(graph: Graph, answer: Graph) -> None:
    """Refuse an answer on another wiring."""
    ours, theirs = graph.wiring, answer.wiring
    if ours.same(theirs):
        return
    (asked, has) = ((wiring.graphs, wiring.nodes, wiring.edges) for wiring in (ours, theirs))
    raise Refusal(
        f"The model answers {asked[0]} graphs of {asked[1]} nodes and {asked[2]} edges with {has[0]} of {has[1]} and {has[2]}"
        f"{', joined otherwise' * (asked == has)}. An answer has the wiring of what is asked: graph.edit(nodes=...)."
    )


def _precise(step: Graph) -> Graph:
    """At least as fp32."""
    rough = any(value.dtype in (torch.bfloat16, torch.float16) for _, value in _wanted(step))
    return step.to(torch.float32) if rough else step


def _losses(name: str, said: Sequence[Graph], wanted: Tensor) -> Float[Tensor, "steps rows *outputs"]:
    """Cross-entropy of each row in each step, 0 where none is asked; of numbers the square of each error. All steps at once."""
    each = [_fitting(name, getattr(step, name), wanted) for step in said]
    answers, steps = torch.cat(each) if len(each) > 1 else each[0], len(each)
    asked = torch.cat([wanted] * steps) if steps > 1 else wanted
    if wanted.is_floating_point():
        losses = (answers.reshape(asked.shape) - asked).square()
    else:
        losses = F.cross_entropy(answers, asked.masked_fill(asked < 0, NEVER), ignore_index=NEVER, reduction="none")
    return losses.view(steps, *wanted.shape)


def _fitting(name: str, said: Tensor | None, wanted: Tensor) -> Tensor:
    """What is said of nodes, edges or graphs. Raises Refusal where it is no answer to what is asked."""
    if said is None:
        raise Refusal(f"The model gives no {name}, and they are asked. It gives a Graph whose {name} hold the answers.")
    if wanted.is_floating_point():
        if said.numel() != wanted.numel():
            raise Refusal(f"The model gives {name} of shape {list(said.shape)}, and {list(wanted.shape)} numbers are asked.")
    elif said.ndim != 2:
        raise Refusal(
            f"The model gives {name} of shape {list(said.shape)}. Classes are answered with logits [rows classes]."
        )
    return said
