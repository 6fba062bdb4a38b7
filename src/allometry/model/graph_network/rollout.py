"""A rollout: a model is fed its own answers, as a simulator is (Battaglia et al. 2018, section 5.1)."""

from collections.abc import Callable
from typing import NamedTuple

from allometry.flow import Refusal
from allometry.graph import Graph


class Rollout(NamedTuple):
    """What was read and answered. Gradients reach the first graph; under torch.no_grad nothing is kept for them."""

    states: list[Graph]  # steps + 1: the first as it was given, and the one that each answer led to
    answers: list[Graph]  # steps


def rollout(
    model: Callable[[Graph], Graph], graph: Graph, steps: int, advance: Callable[[Graph, Graph, int], Graph]
) -> Rollout:
    """`steps` answers, each to the graph that the last one led to: `advance(graph, answer, step)`, step = 0, 1, ...

    `advance` sets what changes by itself too: a force from outside in the globals of each step, or another wiring.
    """
    if steps < 1:
        raise Refusal(f"A rollout of {steps} steps was asked. Ask for at least one.")
    states, answers = [graph], []
    for step in range(steps):
        answers.append(model(states[-1]))
        states.append(advance(states[-1], answers[-1], step))
    return Rollout(states, answers)
