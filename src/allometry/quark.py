"""Quarks of attention: the ways in which one signal of a network acts on another (Baldi and Vershynin 2022, arXiv:2202.08371).

A network of the standard model has variables of three kinds: activations S_i = sum_j w_ij O_j, outputs O_i = f_i(S_i), and synaptic
weights w_ij. A quark says of which kind the attending signal is, of which kind what it acts on is, and whether it is added or
multiplied: 18 classes. Six are left when the attending signal is an output, g; three when those that others express are left out.

    multiplexing         O_i = f_i(S_i + c g)            additive output      O_i = f_i(S_i) + c g
    output gating        O_i = g f_i(S_i)                activation gating    O_i = f_i(g S_i)
    synaptic gating      S_k = ... + (g w_ki) O_i        additive synaptic    S_k = ... + (w_ki + c g) O_i

Those on the left are the three. `model/gates/` has all six as modules.
"""

from typing import Final

from allometry.spec import Spec

KINDS: Final = ("S", "O", "w")  # activation, output, synaptic weight
OPERATIONS: Final = ("add", "mul")


class Quark(Spec):
    """A class of attention: what attends, what is attended, and how.

    >>> Quark(source="S", target="O", op="mul").canonical().three.name
    'output gating'
    """

    source: str  # S | O | w
    target: str  # S | O | w
    op: str  # add | mul

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, known in (("source", KINDS), ("target", KINDS), ("op", OPERATIONS)):
            if getattr(self, name) not in known:
                raise ValueError(f"Quark({name}={getattr(self, name)!r}) is not known. Choose one of {', '.join(known)}.")

    @property
    def name(self) -> str:
        """In the terms of the paper, which are those of a source O."""
        return _NAMES[self.op, self.target] + {"O": "", "S": " by an activation", "w": " by a synaptic weight"}[self.source]

    @property
    def quadratic(self) -> bool:
        """Whether products of two outputs come of it, which no unit of the standard model has."""
        return self.op == "mul" or self.target == "w"

    def canonical(self, static: bool = False, commutes: bool = False) -> "Reduction":
        """What it comes to among the six and among the three, and by which rewrites.

        `static` is said of a source w that is a learned number and not the target of another quark; `commutes` of activation gating
        where f(g S) = g f(S) for all S and g that occur: f linear, or ReLU with g >= 0, or sgn with g = -1 or +1.
        """
        rewrites = []
        if self.source == "w" and static:
            return Reduction(quark=self, rewrites=(ABSORBED,))
        if self.source != "O":
            rewrites.append((THROUGH_IDENTITY if self.source == "S" else DRIVEN).edit(to=self.edit(source="O")))
        if commutes and (self.op, self.target) == ("mul", "S"):
            rewrites.append(COMMUTED)
        elif (self.op, self.target) in _REWRITES:
            rewrites.append(_REWRITES[self.op, self.target])
        return Reduction(quark=self, rewrites=tuple(rewrites))


class Rewrite(Spec):
    """One step: the same function of the inputs in other terms, with the same derivatives."""

    name: str
    equation: str
    to: Quark | None = None  # None: nothing attends any more
    costs: str = ""  # what has to be added to the network, or tied in it


class Reduction(Spec):
    """A quark and the steps to one of the three."""

    quark: Quark
    rewrites: tuple[Rewrite, ...] = ()

    @property
    def six(self) -> Quark | None:
        """The same with an output for its source; None: a learned constant, which is no attention."""
        if self.quark.source == "O":
            return self.quark
        return self.rewrites[0].to

    @property
    def three(self) -> Quark | None:
        """Multiplexing, output gating or synaptic gating; None as above."""
        return self.rewrites[-1].to if self.rewrites else self.quark


MULTIPLEXING: Final = Quark(source="O", target="S", op="add")
ADDITIVE_OUTPUT: Final = Quark(source="O", target="O", op="add")
ADDITIVE_SYNAPTIC: Final = Quark(source="O", target="w", op="add")
ACTIVATION_GATING: Final = Quark(source="O", target="S", op="mul")
OUTPUT_GATING: Final = Quark(source="O", target="O", op="mul")
SYNAPTIC_GATING: Final = Quark(source="O", target="w", op="mul")

ALL: Final = tuple(Quark(source=s, target=t, op=op) for op in OPERATIONS for s in KINDS for t in KINDS)
SIX: Final = tuple(quark for quark in ALL if quark.source == "O")
THREE: Final = (MULTIPLEXING, OUTPUT_GATING, SYNAPTIC_GATING)

_NAMES: Final = {
    ("add", "S"): "multiplexing",
    ("add", "O"): "additive output",
    ("add", "w"): "additive synaptic",
    ("mul", "S"): "activation gating",
    ("mul", "O"): "output gating",
    ("mul", "w"): "synaptic gating",
}

THROUGH_IDENTITY: Final = Rewrite(
    name="identity unit", equation="S_a = O_b with f_b = identity, S_b = S_a", costs="one unit for each signal"
)
DRIVEN: Final = Rewrite(name="dynamic weight", equation="the w that attends is a target itself: take the O that drives it")
ABSORBED: Final = Rewrite(name="learned constant", equation="w + target and w target are the target with another constant")
TIED: Final = Rewrite(
    name="tied weights",
    equation="w_ki (O_i + c g) = w_ki O_i + (w_ki c) g: added to S_k instead",
    to=MULTIPLEXING,
    costs="w_kg = w_ki c for every unit k that reads O_i",
)
PARALLEL: Final = Rewrite(
    name="parallel synapse",
    equation="(w_ki + c g) O_i = w_ki O_i + (g c) O_i",
    to=SYNAPTIC_GATING,
    costs="a synapse that is not gated beside the one that is",
)
INCOMING: Final = Rewrite(
    name="all incoming synapses",
    equation="g S_i = sum_j (g w_ij) O_j, the bias of unit i among them",
    to=SYNAPTIC_GATING,
    costs="a gating for each synapse of the unit",
)
COMMUTED: Final = Rewrite(name="commuting gate", equation="f(g S) = g f(S)", to=OUTPUT_GATING)
_REWRITES: Final = {("add", "O"): TIED, ("add", "w"): PARALLEL, ("mul", "S"): INCOMING}
