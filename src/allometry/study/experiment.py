"""Experiment: a fixed list of arms, as the experiments of papers are, where a Request asks for a comparison over budgets.

An arm is one network on one task with one recipe, for some seeds. Arms of one panel are drawn together: a line for each name of a
line, along `at` where it is given (the longest warp, the time scale at the start). An arm may start from the weights of another,
and its trained network may be scored on other tasks. What is expected is written down before the runs, and judged from them.
"""

from allometry.fit.arms import HALF_CHANCE, MEASURES, OF_ANSWERS, RECOVERED, STEPS_TO, TEST, share_of
from allometry.flow import IO, NUMERICS, Budget, Refusal, Run
from allometry.spec import Spec


class OtherTask(Spec):
    """Another task that an arm's trained networks are scored on, or the same in another way.

    `model` is what the trained weights are put into for it, where that is not the arm's own: a graph network that takes more steps,
    `arm.model.edit(steps=20)`. What has `at` stands among the tests of all arms, on their axis. What has `along` stands in a figure
    of its own, with a line for each name of a line: the steps in the test, for each size of a world. It may have both.
    """

    name: str
    task: Spec
    at: float | None = None  # its place on the axis of the arms
    model: Spec | None = None  # a Family with weights of the same names and shapes; None: that of the arm
    axis: str = ""  # of the figure of its own: what `along` is, with its unit
    along: float | None = None  # its place there
    line: str = ""  # what it is called there

    def __post_init__(self) -> None:
        super().__post_init__()
        if bool(self.axis) != (self.along is not None) or (self.line and not self.axis):
            raise Refusal(
                f"The test {self.name!r} has axis={self.axis!r}, along={self.along}, line={self.line!r}. "
                "A figure of its own takes an axis and a place along it; both or none."
            )


class Arm(Spec):
    """A network on a task, trained with a recipe."""

    name: str  # of its own in the experiment
    line: str  # what it is called in a panel
    panel: str
    model: Spec  # a Family at its size
    task: Spec  # a generated task, or pixels
    recipe: Spec
    steps: int
    batch: int  # sequences or graphs in a step
    at: float | None = None
    axis: str = ""  # what `at` is, with its unit
    parent: str = ""  # name of the arm whose weights it starts from, seed by seed
    tests: tuple[OtherTask, ...] = ()  # what else its trained networks are scored on
    note: str = ""
    seeds: int = 0  # the first of the experiment's; 0: all of them

    @property
    def io(self) -> IO:
        return self.task.io  # type: ignore[attr-defined,no-any-return]

    @property
    def tokens(self) -> int:
        """Positions that are read in training; of graphs the nodes, if all are of the usual size."""
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
            numerics=NUMERICS,
        )


class Expectation(Spec):
    """A claim on two arms: a measure of one is at most, or at least, so many times that of the other.

    `loss` is the held-out loss, `error` the share of held-out targets that are answered wrongly, `steps_to:<share>` the first step
    at which the training loss is that share of chance (`half_chance`: half of it), `test:<name>` the loss on another task. Of
    graphs `solved` and `unsolved` are the shares of which every answer is right, and of which one is not; `rollout` is the error
    over 50 steps of a model of motion that is fed its own answers, in units of what persistence errs in one. These three and
    `error` are also measured in a test, `solved:<name>`. `recovered:<name>`, of an arm that starts from another, is the share of
    what that other task cost its parent which came back when the arm was trained there. Without `against` a loss is held against
    the level of chance, steps against those that the arm is given, and shares and rollouts against 1.
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
    first: int = 0  # seed; an experiment that chooses something takes others than the one that is judged
    expectations: tuple[Expectation, ...] = ()
    sequences: int = 500  # held-out sequences that a trained network is scored on
    precision: str = "fp32"  # fp32 | bf16
    device: str = "auto"
    jobs: int = 0  # runs at the same time; 0: one for each core, one on a GPU

    def __post_init__(self) -> None:
        super().__post_init__()
        _take(self, "seeds", 1, "3 tell arms apart")
        _take(self, "first", 0, "seeds count from there")
        _take(self, "sequences", 2, "two have an error")
        _take(self, "jobs", 0, "0 is one for each core")
        if self.precision not in ("fp32", "bf16"):
            raise Refusal(f"Experiment(precision={self.precision!r}) is not known. It is one of: fp32, bf16.")
        names = [arm.name for arm in self.arms]
        if not names or len(set(names)) < len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise Refusal(f"An experiment takes arms with names of their own. {', '.join(twice) or 'None'} given.")
        for arm in self.arms:
            _take(arm, "steps", 1, "one is an arm that learns nothing")
            _take(arm, "batch", 1, "sequences in a step")
            _take(arm, "seeds", 0, "0 is all of the experiment's")
            if self.seeds_of(arm) > self.seeds:
                raise Refusal(f"{arm.name} asks for {arm.seeds} seeds of an experiment that has {self.seeds}.")
            if arm.parent and arm.parent not in names[: names.index(arm.name)]:
                raise Refusal(f"{arm.name} starts from {arm.parent}, which is no arm before it.")
            if arm.parent and self.seeds_of(arm) > (had := self.seeds_of(self.arm(arm.parent))):
                raise Refusal(f"{arm.name} has {self.seeds_of(arm)} seeds, and {arm.parent}, which it starts from, {had}.")
            tests = [test.name for test in arm.tests]
            if len(set(tests)) < len(tests):
                raise Refusal(f"{arm.name} has two tests of one name: {', '.join(tests)}. Name them apart.")
        for claim in self.expectations:
            self._check(claim)

    def _check(self, claim: Expectation) -> None:
        says = f"The expectation {claim.text!r}"
        missing = [name for name in (claim.arm, claim.against) if name and name not in {arm.name for arm in self.arms}]
        if missing:
            raise Refusal(f"{says} is on {', '.join(missing)}, which is no arm.")
        bounds = [bound for bound in (claim.at_most, claim.at_least) if bound is not None]
        if len(bounds) != 1 or bounds[0] <= 0:
            raise Refusal(f"{says} takes one of at_most and at_least, more than 0.")
        kind, colon, name = claim.measure.partition(":")
        known = claim.measure in ("loss", HALF_CHANCE) or kind in OF_ANSWERS or kind + colon in (STEPS_TO, TEST, RECOVERED)
        if not known:
            raise Refusal(f"{says} is on the measure {claim.measure!r}. It is one of: {', '.join(MEASURES)}.")
        if kind + colon == STEPS_TO:
            share_of(claim.measure)
            return
        for arm in (self.arm(one) for one in (claim.arm, claim.against) if one and name):
            if kind + colon == RECOVERED and not arm.parent:
                raise Refusal(f"{says} is on what {arm.name} brings back, which starts from no other arm. Give it a parent.")
            scored = self.arm(arm.parent) if kind + colon == RECOVERED else arm
            if name not in (tests := [test.name for test in scored.tests]):
                raise Refusal(f"{says}: {scored.name} has no test {name!r}. It has: {', '.join(tests) or 'none'}.")

    def seeds_of(self, arm: Arm) -> int:
        """How many seeds an arm has."""
        return arm.seeds or self.seeds

    def arm(self, name: str) -> Arm:
        return next(arm for arm in self.arms if arm.name == name)


def _take(spec: Spec, name: str, least: int, why: str) -> None:
    """Refuse what is no whole number of at least `least`."""
    value = getattr(spec, name)
    if not isinstance(value, int) or value < least:
        raise Refusal(
            f"{type(spec).__name__}({name}={value!r}) is refused. It takes a whole number from {least} on ({why})."
        )
