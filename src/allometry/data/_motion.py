"""Bodies in a plane that move by their forces: the state now is given, the velocities one step later are asked."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int
from torch import Tensor

from allometry.data._generated_graphs import COUNTED, MEASURED, Arrays, GeneratedGraphs, batched, draws
from allometry.data._random import HELD_OUT, below
from allometry.flow import Refusal
from allometry.graph import Graph

STATE = 4  # a node is x, y, their velocities, and what else a task says of it
ASIDE = 2**62  # more than the number of any graph
MOMENTS = 49  # a state to be continued is one of the first 49 of a trajectory of 50 steps, as in the demo of graph_nets


class System(NamedTuple):
    """How things stand at first, and what does not change. Axes of edges: [graph, sender, receiver]."""

    n_node: Int[np.ndarray, " graphs"]
    joined: Bool[np.ndarray, "graphs nodes nodes"]
    place: Float[np.ndarray, "graphs nodes 2"]
    velocity: Float[np.ndarray, "graphs nodes 2"]
    nodes: Float[np.ndarray, "graphs nodes constants"]
    edges: Float[np.ndarray, "graphs nodes nodes channels"]
    globals: Float[np.ndarray, "graphs channels"]


class Motion(GeneratedGraphs):
    """Node: place (2), velocity (2) and constants. A member states `io`, `system` and `acceleration`.

    Semi-implicit Euler: v' = v + step a(x), x' = x + step v'. So the velocity that is asked is a function of the state given.
    """

    step: float = 0.1  # of time

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.step <= 0:
            raise Refusal(f"{type(self).__name__}(step={self.step:g}) stands still. Take more than 0.")

    def system(self, seed: int, numbers: Int[np.ndarray, " graphs"]) -> System:
        """The beginnings of these numbers; each depends on the seed and its own number alone."""
        raise NotImplementedError

    def acceleration(
        self, system: System, place: Float[np.ndarray, "graphs nodes 2"]
    ) -> Float[np.ndarray, "graphs nodes 2"]:
        """Of all bodies where they stand; 0 of what is fixed or no body."""
        raise NotImplementedError

    def trajectory(
        self, system: System, steps: int
    ) -> tuple[Float[np.ndarray, "frames graphs nodes 2"], Float[np.ndarray, "frames graphs nodes 2"]]:
        """Places and velocities at the beginning and after each of so many steps."""
        places, velocities = [system.place], [system.velocity]
        for _ in range(steps):
            velocities.append(velocities[-1] + self.step * self.acceleration(system, places[-1]))
            places.append(places[-1] + self.step * velocities[-1])
        return np.stack(places), np.stack(velocities)

    def examples(self, seed: int, numbers: Int[np.ndarray, " graphs"]) -> Arrays:
        """A state of each trajectory, and the velocities after it."""
        system = self.system(seed, numbers)
        (when,) = draws(seed, numbers + ASIDE, ())  # apart from what the system is drawn from
        moment = below(MOMENTS, when)
        places, velocities = self.trajectory(system, int(moment.max()) + 1)
        rows = np.arange(len(numbers))
        asked = velocities[moment + 1, rows]
        return _asked(system, places[moment, rows], velocities[moment, rows], asked)

    def rollout(self, seed: int, first: int, count: int, steps: int = 50) -> tuple[Graph, Float32[Tensor, "frames nodes 2"]]:
        """The beginnings of so many trajectories, and the velocities of all nodes at the beginning and after each step."""
        system = self.system(seed, np.arange(first, first + count))
        _, velocities = self.trajectory(system, steps)
        real = np.arange(self.most) < system.n_node[:, None]
        start, _ = batched(_asked(system, system.place, system.velocity, system.velocity))
        return start, torch.from_numpy(velocities[:, real].astype(np.float32))

    def advance(self, now: Graph, answer: Graph, step: int = 0) -> Graph:
        """The state after one in which a model answers these velocities, in whatever step: x' = x + step v'.

        All nodes move by what is answered, so a model must have learned which are fixed.
        """
        state, velocity = now.nodes, answer.nodes
        assert state is not None
        assert velocity is not None
        return now.edit(nodes=torch.cat([state[:, :2] + self.step * velocity, velocity, state[:, STATE:]], dim=1))

    @property
    def chance(self) -> float:
        """Mean square error, per number, of a player that always says the mean velocity. Counted once in 2000 graphs."""
        return _levels(self.endless)["mean"] / 2

    @property
    def floors(self) -> dict[str, float]:
        """Mean over nodes of the squared error, both numbers of a velocity summed as in the demo, of two players.

        `zero` says that all will stand, `persistence` that nothing changes in one step. Counted once in 2000 graphs.
        """
        levels = _levels(self.endless)
        return {name: levels[name] for name in ("zero", "persistence")}


def rollout_error(states: Sequence[Graph], truth: Float[Tensor, "frames nodes 2"]) -> float:
    """Mean over frames and nodes of the squared error of the velocity, both numbers summed: as the demo reports it.

    The first state is given, and counts as one without error.
    """
    said = torch.stack([state.nodes[:, 2:STATE] for state in states if state.nodes is not None]).cpu()
    return float(((said.double() - truth.double()) ** 2).sum(-1).mean())


@functools.lru_cache(maxsize=64)
def _levels(task: Motion) -> dict[str, float]:
    (inputs,), targets = task.batch(HELD_OUT, MEASURED, COUNTED)
    assert inputs.nodes is not None
    assert targets.nodes is not None
    asked, now = targets.nodes.double(), inputs.nodes[:, 2:STATE].double()
    return {
        name: float(((asked - said) ** 2).sum(1).mean())
        for name, said in (("zero", torch.zeros_like(asked)), ("persistence", now), ("mean", asked.mean(0)))
    }


def _asked(
    system: System,
    place: Float[np.ndarray, "graphs nodes 2"],
    velocity: Float[np.ndarray, "graphs nodes 2"],
    asked: Float[np.ndarray, "graphs nodes 2"],
) -> Arrays:
    """A state of a system, and the velocities asked."""
    nodes = np.concatenate([place, velocity, system.nodes], axis=-1)
    return Arrays(system.n_node, system.joined, nodes, system.edges, system.globals, of_nodes=asked)
