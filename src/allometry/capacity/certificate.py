"""Does a circuit realise a function? Weights that do, or a proof that none do.

With the outputs of the gates held still, the activation of the attended unit is linear in its weights: θ·φ(x). A function asks
for signs s(x) of it (at some points perhaps any). Farkas: either a θ has s(x) θ·φ(x) > 0 at all points that are asked, or
multipliers y >= 0, not all 0, have Σ_x y(x) s(x) φ(x) = 0. A linear program finds one of the two, and whole numbers check it:
the weights by running the neurons, the multipliers by the sum. A gate has finitely many outputs, so a proof is one such sum for
each of them. Without biases the columns of θ that stand for them are 0; where all of φ(x) is then 0, the unit gives H(0) = 1.
"""

import dataclasses
from fractions import Fraction
from math import lcm

import numpy as np
from jaxtyping import Int, UInt

from allometry.capacity.circuits._circuit import Circuit, Listen, silent
from allometry.capacity.threshold_functions import threshold_functions, without_bias
from allometry.capacity.truth import unpack
from allometry.capacity.units import monomials
from allometry.flow import Refusal

MOST_INPUTS = 4  # with gates; a proof at n = 5 needs 94,572 programs
PARTS = (1, 2, 3, 4, 6, 12, 60, 1000, 10**6)  # denominators that weights are rounded to, the small ones first


@dataclasses.dataclass(frozen=True)
class Realised:
    """Whole weights, biases last, that give the function."""

    attended: tuple[int, ...]
    gates: tuple[tuple[int, ...], ...]


@dataclasses.dataclass(frozen=True)
class Impossible:
    """For each output of the gates: multipliers with Σ_x y(x) s(x) φ(x) = 0, or None where the output alone rules it out."""

    signals: tuple[tuple[tuple[int, ...], ...], ...]  # [output of the gates][gate][point]
    multipliers: tuple[tuple[int, ...] | None, ...]


def certify(circuit: Circuit, function: int, listen: Listen = silent) -> Realised | Impossible:
    """A certificate that the circuit realises a function (a truth table as an integer; of values -1, 0, 1 in base 3, digit x being
    1 + f(x)), or that it does not.

    >>> from allometry.capacity.count import circuit
    >>> certify(circuit("threshold", 2), 0b1000)
    Realised(attended=(1, 1, -1), gates=())
    >>> certify(circuit("threshold", 2), 0b0110).multipliers
    ((1, 1, 1, 1),)
    """
    gated, labels = _gated(circuit), _labels(circuit, function)
    if gated and circuit.inputs > MOST_INPUTS:
        raise Refusal(
            f"A proof for {circuit.inputs} inputs and a gate takes too long. Ask for at most {MOST_INPUTS} inputs."
        )
    signals, multipliers, tables = [], [], _gates(circuit) if gated else [None]
    for done, table in enumerate(tables):
        output = _output(circuit, table)
        asked = _asked(circuit, labels, output)
        answer = None if asked is None else _separate(activations(circuit, output), asked)
        if answer is not None and answer[0]:
            found = Realised(answer[1], () if table is None else (_unit(circuit, table),))
            return _checked(circuit, function, found)
        signals.append(tuple(tuple(int(v) for v in gate) for gate in output))
        multipliers.append(None if answer is None else answer[1])
        listen(done + 1, len(tables))
    return _checked(circuit, function, Impossible(tuple(signals), tuple(multipliers)))


def verified(circuit: Circuit, function: int, found: Realised | Impossible) -> bool:
    """Check a certificate in whole numbers, without any program. A proof has to name every output that the gate can have."""
    gated, labels = _gated(circuit), _labels(circuit, function)
    if isinstance(found, Realised):
        if len(found.gates) != gated or _biased(circuit, found):
            return False
        attended, gates = np.array([found.attended]), np.array(found.gates)
        if not _bias(circuit):  # whole weights: with half a bias H(0) is 1, and no other value changes
            attended, gates = 2 * attended, 2 * gates
            attended[:, -1] = 1
            gates[..., -1:] = 1
            if (
                gated
                and (monomials(circuit.inputs, 1, circuit.input_low)[_first(circuit) :, :-1] @ gates[0, :-1] == 0).any()
            ):
                return False
        signals = circuit.signals(gates) if gated else _output(circuit, None)
        values = circuit.respond(attended, signals[None])[0]
        own = circuit.sums(np.array([found.attended]), signals[None])[0]
        asked = _asked(circuit, labels, signals)
        return bool((_sign(circuit, values) == labels).all() and asked is not None and (own[asked != 0] != 0).all())
    for signals, multipliers in zip(found.signals, found.multipliers, strict=True):
        output = np.array(signals, dtype=int).reshape(-1, 1 << circuit.inputs)
        asked = _asked(circuit, labels, output)
        if multipliers is None:
            if asked is not None:
                return False
            continue
        weights = np.array(multipliers)
        if asked is None or (weights < 0).any() or not weights.any() or (weights[asked == 0] > 0).any():
            return False
        if ((weights * asked) @ activations(circuit, output)).any():
            return False
    tables = _gates(circuit) if gated else [None]
    named = set(found.signals)
    return all(tuple(tuple(gate) for gate in _output(circuit, table).tolist()) in named for table in tables)


def activations(circuit: Circuit, signals: Int[np.ndarray, "gates points"]) -> Int[np.ndarray, "points weights"]:
    """φ(x): the activation for each weight alone."""
    alone = np.eye(circuit.weights, dtype=int)
    if not _bias(circuit):
        alone[_free(circuit) :] = 0
    return circuit.sums(alone, np.broadcast_to(signals, (len(alone), *signals.shape))).T


def _bias(circuit: Circuit) -> bool:
    return bool(getattr(circuit, "bias", True))


def _free(circuit: Circuit) -> int:
    """Weights that are no biases: these are the last one, or two."""
    return circuit.weights - 1 - (circuit.name == "activation_gating")


def _first(circuit: Circuit) -> int:
    """The first point where a gate without a bias has a sum: in {0, 1} it has none at x = 0."""
    return 1 if circuit.input_low == 0 else 0


def _biased(circuit: Circuit, found: Realised) -> bool:
    """Whether there are biases where there should be none."""
    return not _bias(circuit) and (any(found.attended[_free(circuit) :]) or any(gate[-1] for gate in found.gates))


def _gates(circuit: Circuit) -> UInt[np.ndarray, " functions"]:
    return threshold_functions(circuit.inputs) if _bias(circuit) else without_bias(circuit.inputs, circuit.input_low)


def _asked(
    circuit: Circuit, labels: Int[np.ndarray, " points"], signals: Int[np.ndarray, "gates points"]
) -> Int[np.ndarray, " points"] | None:
    """Signs that the activation must have. Where it is 0 whatever the weights the value is H(0) = 1."""
    asked = circuit.demands(labels, signals)
    if asked is None or _bias(circuit):
        return asked
    nothing = ~activations(circuit, signals).any(axis=1)
    return None if (asked[nothing] < 0).any() else np.where(nothing, 0, asked)


def _sign(circuit: Circuit, values: Int[np.ndarray, " points"]) -> Int[np.ndarray, " points"]:
    """Values as labels: -1, 0, 1 of a circuit of three values, else -1 for what is low."""
    return values if circuit.values == 3 else np.where(values > 0, 1, -1)


def _gated(circuit: Circuit) -> int:
    """Gates, 0 or 1."""
    if circuit.certified_gates not in (0, 1):
        raise Refusal(
            f"{circuit!r} has no certificates. One output, with at most one threshold unit as gate, on the output, the "
            "activation or a fixed synapse, has them."
        )
    return circuit.certified_gates


def _labels(circuit: Circuit, function: int) -> Int[np.ndarray, " points"]:
    """The function in {-1, +1}; of three values a number in base 3, digit x of which is 1 + f(x)."""
    points, base = 1 << circuit.inputs, circuit.values
    if not (isinstance(function, int) and 0 <= function < base**points):
        raise Refusal(
            f"{function!r} is no function of {circuit.inputs} inputs. Give a whole number from 0 to {base}^{points} - 1."
        )
    if base == 3:
        return np.array([function // 3**x % 3 - 1 for x in range(points)])
    return np.where([function >> x & 1 for x in range(points)], 1, -1)


def _output(circuit: Circuit, table: np.unsignedinteger | None) -> Int[np.ndarray, "gates points"]:
    """What a gate of this table gives; no row where there is none."""
    if table is None:
        return np.zeros((0, 1 << circuit.inputs), dtype=int)
    return np.where(unpack(np.array([table]), circuit.inputs), 1, circuit.gate_low)


def _checked(circuit: Circuit, function: int, found: Realised | Impossible) -> Realised | Impossible:
    if not verified(circuit, function, found):
        raise ArithmeticError(
            f"The certificate that was found for {function} and {circuit!r} does not hold in whole numbers."
        )
    return found


def _unit(circuit: Circuit, table: np.unsignedinteger) -> tuple[int, ...]:
    """Whole weights of a threshold unit."""
    rows, labels = (
        monomials(circuit.inputs, 1, circuit.input_low),
        np.where(unpack(np.array([table]), circuit.inputs)[0], 1, -1),
    )
    if not _bias(circuit):
        rows[:, -1] = 0
        labels = np.where(rows.any(axis=1), labels, 0)
    return _separate(rows, labels)[1]


def _separate(rows: Int[np.ndarray, "points weights"], signs: Int[np.ndarray, " points"]) -> tuple[bool, tuple[int, ...]]:
    """(True, weights) with positive signed values, or (False, multipliers)."""
    from scipy.optimize import linprog

    asked = np.flatnonzero(signs)
    signed = rows[asked] * signs[asked, None]
    width = rows.shape[1]
    if not len(asked):
        return True, (0,) * width
    # least sum of |θ| with margin 1, θ = p - q
    done = linprog(np.ones(2 * width), A_ub=-np.hstack([signed, -signed]), b_ub=-np.ones(len(asked)), method="highs")
    if done.status == 0:
        theta = done.x[:width] - done.x[width:]
        for parts in PARTS:
            whole = np.rint(theta * parts).astype(int)
            if (signed @ whole > 0).all():
                return True, tuple(int(w) for w in whole)
        raise ArithmeticError("No whole weights were found: none of the denominators fits.")
    # multipliers with Σ y = 1: a corner of the polytope, whose nonzero part solves a square system of small whole numbers
    equal = np.vstack([signed.T, np.ones(len(asked))])
    corner = linprog(np.zeros(len(asked)), A_eq=equal, b_eq=np.eye(width + 1)[-1], method="highs-ds")
    if corner.status != 0:
        raise ArithmeticError(f"Neither weights nor multipliers were found: {corner.message}")
    values = [Fraction(float(v)).limit_denominator(10_000) if v > 1e-9 else Fraction(0) for v in corner.x]
    common = lcm(*(value.denominator for value in values))
    multipliers = np.zeros(len(signs), dtype=int)
    multipliers[asked] = [int(value * common) for value in values]
    return False, tuple(int(m) for m in multipliers)
