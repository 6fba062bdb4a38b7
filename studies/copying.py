"""Remember ten letters over a long wait: the copy task, figure 3 of Tallec and Ollivier 2018 (arXiv:1804.11188).

    allometry run studies/copying.py --part copying           # a wait of 500 steps, and other longest time scales than the task's
    allometry run studies/copying.py --part longer            # the paper's start, twice the steps
    allometry run studies/copying.py --part long              # 2,000 steps, begun
    allometry run studies/copying.py --part variable          # waits of 1 to 500 steps
    allometry run studies/copying.py --dry-run                # hours of each part on this machine

The paper's size is one edit away: STEPS = LONG_STEPS = 60_000, VARIABLE_STEPS = 100_000.
"""

from allometry import Arm, Expectation, Experiment, OneLayer, Rmsprop, task

Copying = task("copying")
SEEDS = 3
UNITS, RATE = 128, 1e-3  # the paper's, as RMSprop without clipping
BATCH = 20  # not stated; that of Arjovsky et al. 2016 (arXiv:1511.06464), from whom the task's sizes are
STEPS, LONGER_STEPS, LONG_STEPS, VARIABLE_STEPS = 20_000, 40_000, 4_000, 10_000
AXIS = "longest time scale at the start, steps"


def arm(name: str, asked: Copying, panel: str, t_max: float, steps: int) -> Arm:
    """An LSTM. `t_max` 0 is the standard start, a forget bias of 1."""
    return Arm(
        name=name,
        line="chrono" if t_max else "forget bias 1",
        panel=panel,
        model=OneLayer(cell="lstm", width=UNITS, t_max=t_max),
        task=asked,
        recipe=Rmsprop(rate=RATE, until=asked.chance / 40),
        steps=steps,
        batch=BATCH,
        at=t_max or None,
        axis=AXIS if t_max else "",
    )


def pair(asked: Copying, panel: str, t_max: float, steps: int) -> tuple[Arm, Arm]:
    """The paper's start against the standard one."""
    return arm(f"chrono, {panel}", asked, panel, t_max, steps), arm(f"standard, {panel}", asked, panel, 0.0, steps)


ABOUT = """\
Ten letters are read, a wait follows, then they are to be said. A network that remembers none of them, and knows when to answer,
has the loss of chance. The wait is longer than the memory of gates that start at the usual bias (3.7 steps).

The paper: with chrono initialisation (longest time scale 3/2 of the wait) an LSTM learns it, without the plateau at the level of
chance on which the standard one stays for the 60,000 steps that are drawn; at a wait of 2,000 the same. Waits that vary: a tie at
500.

Ours: the same network, optimiser and rate. Batches of 20, as the paper does not say; 20,000 steps, and a run that has solved the
task (a fortieth of chance) stops. What a cell sees of the input starts with a variance of 1. Longest time scales ten times too
small and too large are ours."""

wait = Copying(delay=500)
near = "a wait of 500 steps"
learns = Expectation(
    text="With chrono initialisation the loss falls below a quarter of chance",
    arm=f"chrono, {near}",
    measure="steps_to:0.25",
    at_most=1.0,
    paper="far below chance",
)
copying = Experiment(
    title="Copying: remember ten letters",
    about=ABOUT,
    seeds=SEEDS,
    arms=(
        *pair(wait, near, 750.0, STEPS),
        arm("ten times too small", wait, near, 75.0, STEPS),
        arm("ten times too large", wait, near, 7500.0, STEPS),
    ),
    expectations=(
        learns,
        Expectation(
            text="The standard start stays at chance (it does not fall below nine tenths of it)",
            arm=f"standard, {near}",
            measure="steps_to:0.9",
            at_least=1.0,
            paper="stays at chance for 60,000 steps",
        ),
        Expectation(
            text="Time scales ten times too small take at least twice the steps of the right ones to half of chance",
            arm="ten times too small",
            against=f"chrono, {near}",
            measure="half_chance",
            at_least=2.0,
            paper="not measured",
        ),
        Expectation(
            text="Ten times too large take at most twice the steps of the right ones",
            arm="ten times too large",
            against=f"chrono, {near}",
            measure="half_chance",
            at_most=2.0,
            paper="not measured",
        ),
    ),
)

longer = Experiment(
    title="Copying: twice the steps",
    about=f"""{ABOUT}

After {STEPS:,} steps one seed of three was below a quarter of chance, and all were falling. Here the same networks are given
{LONGER_STEPS:,}.""",
    seeds=SEEDS,
    arms=(arm(f"chrono, {near}", wait, near, 750.0, LONGER_STEPS),),
    expectations=(learns,),
)

far = "a wait of 2,000 steps"
long = Experiment(
    title="Copying: a wait of 2,000 steps, begun",
    about=ABOUT,
    seeds=SEEDS,
    arms=pair(Copying(delay=2000), far, 3000.0, LONG_STEPS),
    expectations=(
        Expectation(
            text="Within what is trained here, chrono initialisation is below the standard start already",
            arm=f"chrono, {far}",
            against=f"standard, {far}",
            at_most=0.9,
            paper="far below, after 60,000 steps",
        ),
    ),
)

some, more = "waits of 1 to 500 steps", "waits of 1 to 1,000 steps"
variable = Experiment(
    title="Copying: waits that vary",
    about=ABOUT,
    seeds=SEEDS,
    arms=(
        *pair(Copying(delay=500, variable=True), some, 500.0, VARIABLE_STEPS),
        *pair(Copying(delay=1000, variable=True), more, 1000.0, VARIABLE_STEPS),
    ),
    expectations=(
        Expectation(
            text="Up to 500: chrono initialisation is no worse than the standard start by more than a tenth",
            arm=f"chrono, {some}",
            against=f"standard, {some}",
            at_most=1.1,
            paper="a tie",
        ),
        Expectation(
            text="Up to 1,000: it has at most nine tenths of the loss",
            arm=f"chrono, {more}",
            against=f"standard, {more}",
            at_most=0.9,
            paper="far below, after 100,000 steps",
        ),
    ),
)

study = {"copying": copying, "longer": longer, "long": long, "variable": variable}
