"""Experiment: a fixed list of arms, as the experiments of papers are, where a Request asks for a comparison over budgets.

An arm is one network on one task with one recipe, for some seeds. Arms of one panel are drawn together: a line for each name of a
line, along `at` where it is given (the longest warp, the time scale at the start). An arm may start from the weights of another,
and its trained network may be scored on other tasks. What is expected is written down before the runs, and judged from them.
"""

from allometry.flow import IO, Budget, Refusal, Run
from allometry.spec import Spec

MEASURES = ("loss", "half_chance")
NAMED = ("test:", "recovered:")  # measures that a name follows


class OtherTask(Spec):
    """Another task that an arm's trained networks are scored on."""

    name: str
    task: Spec
    at: float | None = None  # its place on the axis of the arms


class Arm(Spec):
    """A network on a task, trained with a recipe."""

    name: str  # of its own in the experiment
    line: str  # what it is called in a panel
    panel: str
    model: Spec  # a Family at its size
    task: Spec  # a generated task, or pixels
    recipe: Spec
    steps: int
    batch: int
    at: float | None = None
    axis: str = ""  # what `at` is, with its unit
    parent: str = ""  # name of the arm whose weights it starts from, seed by seed
    others: tuple[OtherTask, ...] = ()  # what else its trained networks are scored on
    note: str = ""

    @property
    def io(self) -> IO:
        return self.task.io  # type: ignore[attr-defined,no-any-return]

    @property
    def tokens(self) -> int:
        """Positions that are read in training."""
        return self.steps * self.batch * self.io.length

    def run(self, seed: int, precision: str, flops_per_token: float, parent: str | None) -> Run:
        """The Run of a seed. `parent` is the id of the run that it starts from."""
        return Run(
            family=self.model,
            size=0,
            task=type(self.task).__name__.lower(),
            io=self.io,
            data=self.task.fingerprint,  # type: ignore[attr-defined]
            recipe=self.recipe,
            budget=Budget(flops=self.tokens * flops_per_token, steps=self.steps, batch=self.batch),
            seed=seed,
            precision=precision,
            parent=parent,
        )


class Expectation(Spec):
    """A claim on two arms: a measure of one is at most, or at least, so many times that of the other.

    `loss` is the held-out loss, `half_chance` the first step at which the training loss is half the level of chance, `test:<name>`
    the loss on another task. `recovered:<name>`, of an arm that starts from another, is the share of what its parent lost on that
    other task, against its own, which came back when the arm was trained there. Without `against` a loss is held against the
    level of chance, and a share against 1.
    """

    text: str
    arm: str
    against: str = ""
    measure: str = "loss"
    at_most: float | None = None
    at_least: float | None = None
    paper: str = ""  # what the paper found


class Experiment(Spec):
    """Arms, seeds, and what is expected of them."""

    title: str
    arms: tuple[Arm, ...]
    about: str = ""  # paragraphs: the question, what the paper found, what is done otherwise here
    seeds: int = 3
    first: int = 0  # seed
    expectations: tuple[Expectation, ...] = ()
    sequences: int = 500  # held-out sequences that a trained network is scored on
    points: int = 200  # kept of a training curve
    precision: str = "fp32"
    device: str = "auto"
    jobs: int = 0  # runs at the same time; 0: one for each core, one on a GPU

    def __post_init__(self) -> None:
        super().__post_init__()
        names = [arm.name for arm in self.arms]
        if not names or len(set(names)) < len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise Refusal(f"An experiment takes arms with names of their own. {', '.join(twice) or 'None'} given.")
        for arm in self.arms:
            if arm.parent and arm.parent not in names[: names.index(arm.name)]:
                raise Refusal(f"{arm.name} starts from {arm.parent}, which is no arm before it.")
        for claim in self.expectations:
            self._check(claim)
        if self.seeds < 1:
            raise Refusal(f"Experiment(seeds={self.seeds}) has no runs. Take 1 or more, 3 to tell arms apart.")

    def _check(self, claim: Expectation) -> None:
        missing = [name for name in (claim.arm, claim.against) if name and name not in {arm.name for arm in self.arms}]
        if missing:
            raise Refusal(f"The expectation {claim.text!r} is on {', '.join(missing)}, which is no arm.")
        if claim.measure not in MEASURES and not claim.measure.startswith(NAMED):
            known = ", ".join((*MEASURES, *(f"{kind}<name>" for kind in NAMED)))
            raise Refusal(f"Expectation(measure={claim.measure!r}) is not known. It is one of: {known}.")
        if (claim.at_most is None) == (claim.at_least is None):
            raise Refusal(f"The expectation {claim.text!r} takes one of at_most and at_least.")
        if claim.measure == "half_chance" and not claim.against:
            raise Refusal(f"The expectation {claim.text!r} compares steps. Say against which arm.")

    def arm(self, name: str) -> Arm:
        return next(arm for arm in self.arms if arm.name == name)
