"""Can recurrent networks warp time? Warped and padded characters, figures 1 and 2 of Tallec and Ollivier 2018 (arXiv:1804.11188).

    allometry run studies/time_warping.py --part tuning       # the best chance of the plain RNN
    allometry run studies/time_warping.py --part warping      # four panels
    allometry run studies/time_warping.py --part transfer     # the gates alone, on a trained network
    allometry run studies/time_warping.py --dry-run           # hours of each part on this machine

The paper's size is one edit away: WARPS = tuple(range(10, 101, 10)), SEEDS = 5.
"""

from allometry import Arm, Experiment, OneLayer, OtherTask, Rmsprop, task

Warping = task("warping")
WARPS, SEEDS = (10, 40), 3
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

study = {"tuning": tuning, "warping": warping}
