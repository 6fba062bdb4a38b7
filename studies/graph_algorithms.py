"""What a graph network learns of algorithms on small graphs, asked on larger ones (tasks after CLRS, arXiv:2205.15659).

    allometry run studies/graph_algorithms.py               # six tasks, three seeds
    allometry run studies/graph_algorithms.py --dry-run     # minutes on this machine

One network and one recipe for all, not tuned: maxima, as each of these algorithms takes the least or the first of some, and as many
steps as ways are long. Bodies are read by the interaction network of the springs (studies/graph_demos.py).
"""

from pathlib import Path

from allometry import Arm, Expectation, Experiment, OtherTask, Recipe, Spec, family, task

STEPS, BATCH, SEEDS, FIRST = 1_500, 32, 3, 1
FALLS = 10_000  # of the bodies, which are few
SIZES = ((17, 32), (33, 64))
BODIES = (8, 12)
LONGER = "twice the steps"
RECIPE = Recipe(rate=3e-3, warmup=0.005, weight_decay=0.0, memory=0.999)
# Task -> steps of message passing: a way to the far end, or a few where all are joined to all.
ROUNDS = {"breadth_first": 8, "bellman_ford": 10, "connected_components": 12, "minimum": 3, "insertion_sort": 4}
TITLES = {
    "breadth_first": "breadth-first search",
    "bellman_ford": "Bellman-Ford",
    "connected_components": "connected components",
    "minimum": "minimum",
    "insertion_sort": "insertion sort",
}
NETWORK = family("graph_network")(width=20, depth=2, reduce="max", flow="local", answers="later")
INTERACTIONS = family(str(Path(__file__).with_name("interaction_network.py")) + ":InteractionNetwork")(
    width=64,
    depth=2,
    centre=(0.0, 0.0, 1.0, 1.0, 1.0),  # velocity, mass; product of masses; strength of attraction
    spread=(0.5, 0.5, 0.3, 0.5, 0.3),
)


def larger(asked: Spec, model: Spec) -> tuple[OtherTask, ...]:
    """Larger graphs, with the steps of training and with twice as many."""
    return tuple(
        OtherTask(
            name=f"{least}-{most} nodes" + f", {LONGER}" * (steps != model.steps),
            task=asked.edit(least=least, most=most),
            model=None if steps == model.steps else model.edit(steps=steps),
            axis="nodes of the largest graph",
            along=float(most),
            line=f"{steps} steps",
        )
        for least, most in SIZES
        for steps in (model.steps, 2 * model.steps)
    )


def learner(name: str) -> Arm:
    model, asked = NETWORK.edit(steps=ROUNDS[name]), task(name)(least=4, most=16)
    return Arm(
        name=TITLES[name],
        line="graph network",
        panel=TITLES[name],
        model=model,
        task=asked,
        recipe=RECIPE,
        steps=STEPS,
        batch=BATCH,
        tests=larger(asked, model),
    )


bodies = Arm(
    name="bodies",
    line="interaction network",
    panel="bodies that attract each other",
    model=INTERACTIONS,
    task=task("n_body")(),
    recipe=RECIPE,
    steps=FALLS,
    batch=BATCH,
    tests=tuple(OtherTask(name=f"{count} bodies", task=task("n_body")(least=count, most=count)) for count in BODIES),
)


def errs(name: str, at_most: float) -> Expectation:
    return Expectation(
        text=f"{TITLES[name][0].upper()}{TITLES[name][1:]}, 33 to 64 nodes: at most {at_most:.0%} of the answers are wrong",
        arm=TITLES[name],
        measure="error:33-64 nodes",
        at_most=at_most,
        paper="not measured so",
    )


study = Experiment(
    title="Algorithms: from 4-16 nodes to 33-64",
    about=f"""\
Five algorithms and a law of motion, each learned from {STEPS:,} batches of {BATCH} small graphs, all new, and asked on graphs of
up to four times the nodes, with the steps of training and with twice as many. The share of wrong answers stands beside the share
of graphs that are solved, which falls with size by itself, and beside the best player that does not look.

Expected before the runs: what one step of an algorithm does is one maximum and does not know how large the graph is. What limits
is precision: the closest two of 64 numbers are sixteen times as close as those of 16, and among many ways some are nearly equally
long. Breadth-first search asks which of several nodes stands first, an order by position that is as fine.

The bodies (3 to 6 in training) attract each other; the velocities one step later are asked, and a network goes on from its own
answers for 50 steps among {BODIES[0]} and {BODIES[1]} bodies. Orbits that pass closely part soon, whatever the network.""",
    seeds=SEEDS,
    first=FIRST,
    arms=(*map(learner, ROUNDS), bodies),
    expectations=(
        errs("connected_components", 0.02),
        errs("minimum", 0.01),
        errs("insertion_sort", 0.02),
        errs("breadth_first", 0.02),
        errs("bellman_ford", 0.02),
        Expectation(
            text="Bodies: over 50 steps among 8 of them it errs less than persistence in one step",
            arm="bodies",
            measure="rollout:8 bodies",
            at_most=1.0,
            paper="not measured so",
        ),
    ),
)
