"""The contract of a family: an architecture at every size.

To add one, copy `families/lstm.py`, or write a file of your own and name it `path/to/file.py:Class`. Needed are two
fields and one method; the rest is inherited:

    class Mine(Family):
        width: int                                    # solved by `at`, so that sizes match across families
        depth: int                                    # given by the ladder
        def build(self, io):                          # io.vocab, io.length
            return ...                                # nn.Module: Int[batch length] -> Float[batch length vocab]
"""

import functools
import math
from collections.abc import Callable
from typing import ClassVar, TypeVar

import torch
from torch import nn

from allometry.flow import IO, REFERENCE, REFERENCES, SCALES, Graphs, Pairs, Refusal, Series, Tokens
from allometry.model.blocks._linear import Reading
from allometry.spec import Spec

SelfFamily = TypeVar("SelfFamily", bound="Family")

SMALLEST, LARGEST = 1, 19
BASE = 4  # the size whose depth stays where the width grows alone, and whose width stays where the depth does
DEEPEST = 12  # size: from BASE on it has some thousand layers
TOLERANCE = 0.10  # a family farther than this from the size's parameters cannot be matched there


class ClosedForm(Spec):
    """What the mathematics says that a model costs; the meter must count the same."""

    parameters: int  # all; a shared weight once
    non_embedding_parameters: int  # active, as applied: a shared weight once per use
    forward_flops_per_token: float  # 2 per multiply-add, attention dense
    state_numbers: int  # numbers to keep for one sequence while it is generated


def parameters_at(size: int) -> float:
    """Active non-embedding parameters at a size: three sizes to a decade, 10^3 at size 1, 10^9 at size 19.

    The ladder begins below 10^4 because the best size for a few seconds of a laptop lies near 10^4, and an optimum is seen
    only where there are sizes on both sides of it.

    >>> round(parameters_at(1)), round(parameters_at(4)), round(parameters_at(19))
    (1000, 10000, 1000000000)
    """
    return 10.0 ** (3 + (size - 1) / 3)


def depth_at(size: int) -> int:
    """Layers at a size. Depth grows as N^(1/5): 2 layers at 10^4 parameters, 20 at 10^9, as practice has it."""
    return max(1, round(2 * (parameters_at(size) / 1e4) ** 0.2))


def heads_for(width: int) -> int:
    """Attention heads for a width: head width near 16 for narrow models, up to 128 for wide ones, always even.

    >>> heads_for(20), heads_for(64), heads_for(2048)
    (1, 4, 16)
    """
    head = 16 if width < 128 else 32 if width < 384 else 64 if width < 1024 else 128
    return next(h for h in range(max(1, width // head), 0, -1) if width % (2 * h) == 0 or h == 1)


class Family(Spec):
    """An architecture. A subclass adds what is its own, and `claims` which properties a measurement may refute."""

    claims: ClassVar[frozenset[str]] = frozenset()
    grain: ClassVar[int] = 1  # widths are multiples of it; 2 where a part needs an even width
    # Kinds of IO that it can be built for; the first is matched where none is named.
    kinds: ClassVar[tuple[type[IO], ...]] = (Tokens,)

    width: int
    depth: int

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least_one(self, "width", "depth")

    @classmethod
    def at(cls: type[SelfFamily], size: int, kind: type[IO] | None = None, scale: str = "both") -> SelfFamily:
        """Return this family at a size of the ladder: depth as `depth_at`, width solved to `parameters_at`.

        For `Pairs` the parameters of both stacks count, and each stack has half the depth. `scale` says what grows: width
        and depth, or one of them from size BASE on (the protocols of Tay et al. 2022, arXiv:2207.10551).

        Widths that are multiples of a large power of two are preferred where they come within 5 %, as hardware likes them.
        """
        return _solved(cls, size, kind or cls.kinds[0], scale)

    @classmethod
    def shape(cls, width: int, depth: int) -> dict[str, int]:
        """The fields that follow from width and depth. A family with more fields adds them here."""
        return {"width": width, "depth": depth}

    def build(self, io: IO) -> nn.Module:
        """Return the module: `Int[batch length] -> Float[batch length vocab]`, logits or log-probabilities.

        For other IO the shapes that it states; a number that is asked is given as it is.
        """
        raise NotImplementedError

    def closed_form(self, io: IO) -> ClosedForm | None:
        """What the mathematics says that this costs, or None where the family gives no formula."""
        return None

    @classmethod
    def check(cls, io: IO) -> None:
        """Refuse a kind of IO that this family cannot be built for."""
        if isinstance(io, cls.kinds):
            return
        if isinstance(io, Graphs):
            raise Refusal(f"{cls.__name__} reads no graphs. Take a family whose kinds have them, as graph_network.")
        if isinstance(io, Series):
            raise Refusal(
                f"{cls.__name__} reads no series of numbers. Take a family on SequenceFamily that is a causal language model."
            )
        if {*cls.kinds} == {Graphs}:
            raise Refusal(
                f"{cls.__name__} reads graphs alone. Take it for a task of graphs, and another family for text, as "
                "token_graph_network."
            )
        if isinstance(io, Tokens):
            raise Refusal(
                f"{cls.__name__} reads the whole input at once, so it is no causal language model. Use --objective span."
            )
        raise Refusal(f"{cls.__name__} has no encoder and decoder. Use --objective causal.")

    def matched_parameters(self, reference: IO = REFERENCE) -> int:
        """Active non-embedding parameters at a reference IO, by the closed form or by counting on the meta device."""
        form = self.closed_form(reference)
        if form is not None:
            return form.non_embedding_parameters
        with torch.device("meta"):
            return non_embedding_parameters(self.build(reference), reference.outputs)


def at_least_one(family: Family, *names: str) -> None:
    """Refuse a count that is none."""
    for name in names:
        if (value := getattr(family, name)) < 1:
            raise Refusal(f"{type(family).__name__}({name}={value}) is no network. Take at least 1.")


@functools.cache  # a study asks for the same few many times; without a closed form each is counted on the meta device
def _solved(cls: type[SelfFamily], size: int, kind: type[IO], scale: str) -> SelfFamily:
    least, most = ends_of(scale)
    if not least <= size <= most:
        grows = "" if scale == "both" else f" of growing {scale}"
        ends = f"{least} ({parameters_at(least):.0e} parameters) to {most} ({parameters_at(most):.0e})".replace("e+0", "e")
        raise Refusal(f"size {size} is not on the ladder{grows}. Sizes go from {ends}.")
    reference = REFERENCES[kind]
    cls.check(reference)
    if scale == "depth":
        return _deepened(cls, size, kind)
    target, depth = parameters_at(size), depth_at(size if scale == "both" else BASE)
    depth = depth if kind is not Pairs else max(1, round(depth / 2))

    @functools.cache  # a width is met at several grains
    def parameters(width: int) -> int:
        return cls(**cls.shape(width, depth)).matched_parameters(reference)

    nearest: tuple[float, int] | None = None
    below, above = 0, 0
    for grain in (g for g in (64, 32, 16, 8, 4, 2, 1) if g % cls.grain == 0):
        below, above = _around(cls.__name__, parameters, target, grain, below, above)
        for width in sorted({below or grain, above}):
            miss = abs(math.log(parameters(width) / target))
            if nearest is None or miss < nearest[0]:
                nearest = (miss, width)
        assert nearest
        if nearest[0] < TOLERANCE / 2:
            break
    assert nearest
    family = cls(**cls.shape(nearest[1], depth))
    _believe(family, reference)
    return family


def _believe(family: Family, reference: IO) -> None:
    """Refuse a closed form that does not give what is counted: sizes are matched by it. Ours are held to it by the tests."""
    form = family.closed_form(reference) if not type(family).__module__.startswith("allometry.") else None
    if form is None:
        return
    with torch.device("meta"):
        counted = non_embedding_parameters(family.build(reference), reference.outputs)
    if counted != form.non_embedding_parameters:
        raise Refusal(
            f"{type(family).__name__} says that it has {form.non_embedding_parameters:,} parameters outside the vocabulary and "
            f"has {counted:,}. Where it replaces a site, state its cost too (ends, stack_cost), or return None from closed_form."
        )


def ends_of(scale: str) -> tuple[int, int]:
    """The first and the last size of a ladder on which `scale` grows; where the depth grows alone it begins at BASE."""
    if scale not in SCALES:
        raise Refusal(f"--scale {scale} is not known. It is one of: {', '.join(SCALES)}.")
    return (BASE, DEEPEST) if scale == "depth" else (SMALLEST, LARGEST)


def _deepened(cls: type[SelfFamily], size: int, kind: type[IO]) -> SelfFamily:
    """The width of size BASE, and the depth that comes nearest to the parameters of the size."""
    base, target, reference = _solved(cls, BASE, kind, "both"), parameters_at(size), REFERENCES[kind]
    two, four = (cls(**cls.shape(base.width, depth)).matched_parameters(reference) for depth in (2, 4))
    guess = max(1, round(2 + 2 * (target - two) / max(1, four - two)))  # exact where every second layer costs the same
    near = (cls(**cls.shape(base.width, depth)) for depth in range(max(1, guess - 1), guess + 2))
    return min(near, key=lambda family: abs(math.log(family.matched_parameters(reference) / target)))


def vocabulary_layers(model: nn.Module, outputs: int) -> dict[str, nn.Module]:
    """The layers that read (tables, or a `Reading`) and the output layer: the last linear one, if it has so many outputs.

    A model with others of its own, as one that reads and answers edges and nodes, says so with `ends()`: layers by name.

    Where a model has as many outputs as channels, that may be another layer: there the output layer is known by its reading the
    channels of what reads, which the second matrix of a feed-forward part does not.
    """
    if hasattr(model, "ends"):
        return model.ends()  # type: ignore[no-any-return, operator]
    readers = {name: module for name, module in model.named_modules() if isinstance(module, nn.Embedding | Reading)}
    widths = {one.embedding_dim if isinstance(one, nn.Embedding) else one.out_features for one in readers.values()}
    linear = [(name, module) for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    output = {
        name: module
        for name, module in linear[-1:]
        if module.out_features == outputs and (outputs not in widths or module.in_features in widths)
    }
    return readers | output


def non_embedding_parameters(model: nn.Module, outputs: int) -> int:
    """Parameters outside the embedding and the output layer that one token meets.

    A weight shared by several modules counts once per module. A module says with `idle_parameters()` how many of its own and
    its children's a token does not meet (the other experts of a sparse part).
    """
    outside = [id(module) for module in vocabulary_layers(model, outputs).values()]
    own = [module for _, module in model.named_modules(remove_duplicate=False) if id(module) not in outside]
    met = sum(parameter.numel() for module in own for parameter in module.parameters(recurse=False))
    return met - idle_parameters(model)


def idle_parameters(model: nn.Module) -> int:
    """Parameters that one token does not meet, as their modules say."""
    modules = (module for _, module in model.named_modules(remove_duplicate=False))
    return sum(module.idle_parameters() for module in modules if hasattr(module, "idle_parameters"))


def _around(
    name: str, parameters: Callable[[int], int], target: float, grain: int, below: int, above: int
) -> tuple[int, int]:
    """The multiples of `grain` on either side of the width that has `target` parameters; the lower may be 0.

    `below` and `above` are those of a coarser grain, between which they lie; above = 0: of none.
    """
    low, high = below // grain, above // grain
    if not above:
        high = 1
        while parameters(high * grain) < target:
            low, high = high, high * 2
            if high * grain > 1 << 16:
                raise Refusal(f"{name} has too few parameters at any width: does its build use `width`?")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if parameters(middle * grain) < target else (low, middle)
    return low * grain, high * grain
