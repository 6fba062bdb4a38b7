"""Add two numbers that lie hundreds of steps apart: figure 4 of Tallec and Ollivier 2018 (arXiv:1804.11188).

    allometry run studies/adding.py                           # rows of 200 and of 750 numbers
    allometry run studies/adding.py --dry-run                 # hours on this machine

The sizes are the paper's.
"""

from allometry import Arm, Expectation, Experiment, OneLayer, Rmsprop, task

Adding = task("adding")
SEEDS = 3
UNITS, RATE = 128, 1e-3  # the paper's, as RMSprop without clipping
BATCH = 20  # not stated; as in copying.py
STEPS = {200: 2_000, 750: 5_000}  # the paper draws 1,000 and 5,000
PATIENCE = {200: 2_000, 750: 8_000}  # of the standard start: after 5,000 steps nobody could tell a third from a half
AXIS = "longest time scale at the start, steps"


def panel(length: int) -> str:
    return f"rows of {length} numbers"


def arm(name: str, length: int, t_max: float) -> Arm:
    """An LSTM. `t_max` 0 is the standard start, a forget bias of 1."""
    asked = Adding(length=length)
    return Arm(
        name=f"{name}, {panel(length)}",
        line="chrono" if t_max else "forget bias 1",
        panel=panel(length),
        model=OneLayer(cell="lstm", width=UNITS, t_max=t_max),
        task=asked,
        recipe=Rmsprop(rate=RATE, until=asked.chance / 50, points=250),
        steps=(STEPS if t_max else PATIENCE)[length],
        batch=BATCH,
        at=t_max or None,
        axis=AXIS if t_max else "",
    )


study = Experiment(
    title="Adding: two numbers far apart",
    about="""\
A row of random numbers is read, two of which are marked; at the end their sum is asked. A network that remembers neither says 1
and has a squared error of 1/6.

The paper: with the longest time scale at the length of the row, an LSTM with chrono initialisation learns rows of 750 in a seventh
of the steps that the standard one takes.

Ours: the same network, optimiser and rate; batches of 20, as the paper does not say, and what a cell sees of the input starts with
a variance of 1. A run that has solved the task (a fiftieth of chance) stops. Longest time scales ten times too small and too large
are ours.""",
    seeds=SEEDS,
    arms=tuple(
        arm(name, length, t_max)
        for length in STEPS
        for name, t_max in (
            ("chrono", float(length)),
            ("standard", 0.0),
            ("ten times too small", length / 10),
            ("ten times too large", 10.0 * length),
        )
    ),
    expectations=(
        Expectation(
            text="Rows of 750: half of chance is reached in a third of the steps of the standard start, or fewer",
            arm=f"chrono, {panel(750)}",
            against=f"standard, {panel(750)}",
            measure="half_chance",
            at_most=1 / 3,
            paper="learned in a seventh of the steps",
        ),
        Expectation(
            text="Rows of 200: it is reached no later than with the standard start",
            arm=f"chrono, {panel(200)}",
            against=f"standard, {panel(200)}",
            measure="half_chance",
            at_most=1.0,
            paper="somewhat faster",
        ),
        Expectation(
            text="Rows of 750: time scales ten times too small take at least twice the steps of the right ones",
            arm=f"ten times too small, {panel(750)}",
            against=f"chrono, {panel(750)}",
            measure="half_chance",
            at_least=2.0,
            paper="not measured",
        ),
        Expectation(
            text="Rows of 750: ten times too large take at most twice the steps of the right ones",
            arm=f"ten times too large, {panel(750)}",
            against=f"chrono, {panel(750)}",
            measure="half_chance",
            at_most=2.0,
            paper="not measured",
        ),
    ),
)
