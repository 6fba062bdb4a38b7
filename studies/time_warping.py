"""Can recurrent networks warp time? Warped and padded characters, figures 1 and 2 of Tallec and Ollivier 2018 (arXiv:1804.11188).

    allometry run studies/time_warping.py --part tuning       # the best chance of the plain RNN
    allometry run studies/time_warping.py --part warping      # four panels
    allometry run studies/time_warping.py --part transfer     # the gates alone, on a trained network
    allometry run studies/time_warping.py --dry-run           # hours of each part on this machine

The paper's size is one edit away: WARPS = tuple(range(10, 101, 10)), SEEDS = 5.
"""

from allometry import Arm, Expectation, Experiment, OneLayer, OtherTask, Rmsprop, task

Warping = task("warping")
WARPS, SEEDS = (10, 40, 100), 3
UNITS, LENGTH, STEPS, BATCH, RATE = 64, 500, 4688, 32, 1e-3  # the paper's; its rate for this task is not stated
SOLVED = 0.003  # nats: a run stops there, at a seven-hundredth of chance
PANELS = [(form, pace) for form in ("warp", "pad") for pace in ("uniform", "variable")]
AXIS = "longest block, steps"

# What the plain RNN gets: the best of these on a seed of its own at the longest warp (part tuning), for each panel.
RATES, STARTS = (1e-4, 3e-4, 1e-3), ("orthogonal", "identity")
TUNED: dict[tuple[str, str], tuple[float, str]] = {}


def panel(form: str, pace: str) -> str:
    """Its title.

    >>> panel("pad", "uniform")
    'uniform padding'
    """
    return f"{pace} {'warping' if form == 'warp' else 'padding'}"


def arm(cell: str, form: str, pace: str, longest: int, **more: object) -> Arm:
    """One network on one panel at one length of its blocks, scored on blocks up to ten times as long too."""
    model = OneLayer(cell=cell, width=UNITS, t_max=float(longest if cell != "rnn" else 0))
    recipe = Rmsprop(rate=RATE, until=SOLVED)
    if cell == "rnn":
        rate, start = TUNED.get((form, pace), (RATE, "orthogonal"))
        model, recipe = model.edit(start=start), Rmsprop(rate=rate, clip=1.0, until=SOLVED)
    others = [
        OtherTask(name=f"blocks of {times * longest}", at=float(times * longest), task=asked(form, pace, times * longest))
        for times in (1, 2, 5, 10)
    ]
    own = Arm(
        name=f"{cell}, {panel(form, pace)}, {longest}",
        line=cell,
        panel=panel(form, pace),
        model=model,
        task=asked(form, pace, longest),
        recipe=recipe,
        steps=STEPS,
        batch=BATCH,
        at=float(longest),
        axis=AXIS,
        others=tuple(others),
    )
    return own.edit(**more)


def asked(form: str, pace: str, longest: int) -> Warping:
    """Sequences as long as the paper's, or ten of the longest blocks."""
    return Warping(form=form, pace=pace, maximum=longest, length=max(LENGTH, 10 * longest))


tuning = Experiment(
    title="The best chance of a plain RNN on warped time",
    arms=tuple(
        arm("rnn", form, pace, max(WARPS)).edit(
            name=f"rnn, {panel(form, pace)}, {start}, rate {rate:g}",
            line=start,
            at=rate,
            axis="learning rate",
            model=OneLayer(cell="rnn", width=UNITS, start=start),
            recipe=Rmsprop(rate=rate, clip=1.0, until=SOLVED),
            others=(),
        )
        for form, pace in PANELS
        for start in STARTS
        for rate in RATES
    ),
    seeds=1,
)

warping = Experiment(
    title="Can recurrent networks warp time?",
    arms=tuple(
        arm(cell, form, pace, longest)
        for longest in sorted(WARPS, reverse=True)
        for form, pace in PANELS
        for cell in ("gated", "leaky", *(("rnn",) if TUNED else ()))
    ),
    seeds=SEEDS,
)

# The theorem is about the class: what a warping changes are the gates alone (footnote 6). A network is trained at one pace, its
# matrices are frozen, and on other paces its gates are trained again (the leak of a leaky one; of an RNN, which has none, the
# biases, as a control). What it loses by the change and how much of that comes back is measured.
PACE, REFIT_STEPS, BASE_STEPS = 8, 6_000, 3_000
PACES = (("uniform", 4), ("uniform", 16), ("variable", 8), ("variable", 16))
REFIT = {"gated": "gates", "leaky": "gates", "rnn": "biases"}


def sentence(form: str, pace: str, longest: int) -> Warping:
    return Warping(form=form, pace=pace, maximum=longest, length=200)


def named(form: str, pace: str, longest: int) -> str:
    """The name of a task.

    >>> named("warp", "uniform", 4), named("pad", "variable", 16)
    ('uniform warping, 4', 'variable padding, to 16')
    """
    return f"{panel(form, pace)}, {'to ' * (pace == 'variable')}{longest}"


def base(cell: str, form: str) -> Arm:
    """A network trained where all blocks have PACE steps, and scored as it is on the other paces."""
    model = OneLayer(cell=cell, width=UNITS, t_max=0.0 if cell == "rnn" else float(PACE))
    return Arm(
        name=f"{cell}, trained on {named(form, 'uniform', PACE)}",
        line=cell,
        panel=f"before: {named(form, 'uniform', PACE)}",
        model=model,
        task=sentence(form, "uniform", PACE),
        recipe=Rmsprop(rate=RATE, clip=1.0 if cell == "rnn" else 0.0),
        steps=BASE_STEPS,
        batch=BATCH,
        others=tuple(OtherTask(name=named(form, *pace), task=sentence(form, *pace)) for pace in PACES),
    )


def refit(cell: str, form: str, pace: str, longest: int) -> Arm:
    """The same network, of which the gates are trained where time has another pace."""
    before = base(cell, form)
    return before.edit(
        name=f"{cell}, {REFIT[cell]} trained again on {named(form, pace, longest)}",
        panel=f"after: {named(form, pace, longest)}",
        parent=before.name,
        model=before.model.edit(trained=REFIT[cell]),
        task=sentence(form, pace, longest),
        recipe=Rmsprop(rate=3e-3, clip=1.0, hold=0.5, until=SOLVED),
        steps=REFIT_STEPS,
        others=(),
    )


def recovers(cell: str, pace: str, longest: int, form: str = "warp", all_of_it: bool = True) -> Expectation:
    """That at least nine tenths of what the new pace cost comes back, or less."""
    said = named(form, pace, longest)
    return Expectation(
        text=f"{said}: training the {REFIT[cell]} of the {cell} network "
        + ("brings back nine tenths of what the pace cost" if all_of_it else "brings back less"),
        arm=refit(cell, form, pace, longest).name,
        measure=f"recovered:{said}",
        at_least=0.9 if all_of_it else None,
        at_most=None if all_of_it else 0.9,
        paper="by the theorem" if all_of_it else "by the theorem not",
    )


FORMS = (("warp", PACES), ("pad", PACES[1::2]))
transfer = Experiment(
    title="Is a change of pace a matter of the gates alone?",
    arms=tuple(
        one
        for form, paces in FORMS
        for cell in REFIT
        for one in (base(cell, form), *(refit(cell, form, *pace) for pace in paces))
    ),
    expectations=(
        *(recovers("gated", *pace) for pace in PACES),
        recovers("gated", "variable", 16, form="pad"),
        *(recovers("leaky", *pace, all_of_it=pace[0] == "uniform") for pace in PACES),
        *(recovers("rnn", *pace, all_of_it=False) for pace in PACES),
    ),
    seeds=SEEDS,
)

study = {"tuning": tuning, "warping": warping, "transfer": transfer}
