"""An experiment of your own: does it help to start a gated network at the time scale of its task? About two minutes.

allometry run examples/own_experiment.py --dry-run
allometry run examples/own_experiment.py
"""

from allometry import Arm, Expectation, Experiment, OneLayer, Rmsprop, task

wait = task("copying")(delay=30, letters=3)


def arm(line: str, t_max: float) -> Arm:
    model = OneLayer(cell="gated", width=32, t_max=t_max)
    return Arm(
        name=line, line=line, panel="three letters, a wait of 30 steps", model=model, task=wait,
        recipe=Rmsprop(rate=2e-3), steps=1500, batch=16,
    )  # fmt: skip


study = Experiment(
    title="Does a start at the right time scale help?",
    about="Three letters are read and have to be said after 30 steps, by gates that start with 2 to 45 steps, or 3.7 as usual.",
    arms=(arm("chrono", 45.0), arm("usual", 0.0)),
    expectations=(Expectation(text="Chrono has at most half of the loss", arm="chrono", against="usual", at_most=0.5),),
)
