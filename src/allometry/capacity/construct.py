"""Weights behind the lower bounds: circuits that show any two threshold functions of fewer inputs, one at each value of a selector.

Inputs are in {-1, +1} (in {0, 1} where said). s is the selector; (w, b) and (v, c) are weights of two units of the other
inputs; M is more than such a unit can reach. All numbers are whole where those of the units are. Each function returns (weights
of the attended unit, weights of the gates), as the circuit takes them.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from allometry.capacity.bounds import selectors

Whole = Int[np.ndarray, "_"]  # (w, b)


def reach(unit: Whole) -> int:
    """More than |w·x + b| can be."""
    return int(np.abs(unit).sum()) + 1


def chosen_by(unit: Whole, code: Sequence[int], default: int) -> Whole:
    """L2: the unit where the selectors equal their code, the default (1, or -1 for a low output) elsewhere.

    H(w·x + b + M (r - code·s)): r - code·s is 0 at the code and at least 2 elsewhere. Selectors are the last inputs.
    """
    m = default * reach(unit)
    return np.concatenate([unit[:-1], [-m * c for c in code], [unit[-1] + m * len(code)]])


def product(units: Sequence[Whole]) -> list[Whole]:
    """L3: k factors of n inputs whose product, in {0, 1} or {-1, +1}, is the j-th unit where the selectors have code j. The codes
    that stand for no unit give 1."""
    count = selectors(len(units))
    return [chosen_by(unit, [2 * (j >> r & 1) - 1 for r in range(count)], 1) for j, unit in enumerate(units)]


def multiplexing(units: Sequence[Whole]) -> tuple[Whole, list[Whole]]:
    """L7: H(w·x + b - C (1 - g_1) - ... - C (1 - g_K)) is f ∧ g_1 ∧ ..., with gates in either range. Weights are (w, c, b)."""
    first, *gates = product(units)
    much = reach(first)
    return np.concatenate([first[:-1], [much] * len(gates), [first[-1] - much * len(gates)]]), gates


def activation_gating(units: Sequence[Whole]) -> tuple[Whole, list[Whole]]:
    """H(2 g_1 ... g_K (w·x + b) - 1): the product of f and the gates, AND or XNOR, as w·x + b is whole and not 0."""
    first, *gates = product(units)
    return np.concatenate([2 * first, [-1]]), gates


def synaptic(units: Sequence[Whole], low: int) -> tuple[Whole, list[Whole]]:
    """L8, inputs (x', z) with the synapse of z gated: at z = 1 it is H(w·x' + b - C (1 - g_1 ... g_K)), f ∧ (g_1 ... g_K = 1), with
    gates in either range that do not see z. `low` is what the inputs are in, {low, 1}."""
    first, *gates = [unit if low else linear(unit) for unit in product(units)]
    much = reach(first)
    return np.concatenate([first[:-1], [much, first[-1] - much]]), [_blind(gate) for gate in gates]


def synaptic_all_pm(first: Whole, second: Whole) -> tuple[Whole, Whole]:
    """All synapses gated, h = H(g (w·x' + M (s - t)) + b), inputs (x', s, t): the first unit at (1, 1), the second at (1, -1).

    At (1, 1) the gate is 1 and s - t is 0. At (1, -1) the sum is far above 0 for g = 1 and far below for g = -1, so h is the gate.
    """
    m = reach(first)
    attended = np.concatenate([first[:-1], [m, -m], first[-1:]])
    return attended, chosen_by(second, [1, -1], 1)


def synaptic_all_01(first: Whole, second: Whole) -> tuple[Whole, Whole]:
    """All synapses gated, all in {0, 1}, units for such inputs too: the first unit at s = 0, the second at s = 1.

    Where g = 0, h = H(b) is the first unit's value at x' = 0, c. At s = 0 the gate is 1. At s = 1 the attended unit is 1 - c, and
    the gate is the second unit where c = 0, its negative where c = 1.
    """
    m, sign = reach(first), 1 if first[-1] <= 0 else -1
    attended = np.concatenate([first[:-1], [sign * m], first[-1:]])
    gate, much = sign * second, reach(second)
    return attended, np.concatenate([gate[:-1], [-much], [gate[-1] + much]])


def hard_attention(first: Whole, second: Whole, third: Whole) -> tuple[Whole, Whole]:
    """Selectors s, t: the first value at (1, -1), the second at (-1, 1), the gate H(u·x + d + M (s - t)) itself at (1, 1).

    There the values are 1 and 0. Weights are those of the two values, and the gate.
    """
    m, k, j = reach(third), reach(first), reach(second)
    gate = np.concatenate([third[:-1], [m, -m], [third[-1]]])
    one = np.concatenate([first[:-1], [0, k], [first[-1] + k]])
    two = np.concatenate([second[:-1], [-j, 0], [second[-1] - j]])
    return np.concatenate([one, two]), gate


def linear(unit: Whole) -> Whole:
    """The same unit for inputs in {0, 1}: w·(2x - 1) + b."""
    return np.concatenate([2 * unit[:-1], [unit[-1] - unit[:-1].sum()]])


def _blind(gate: Whole) -> Whole:
    """The gate with one more input, the gated one, which it does not see."""
    return np.concatenate([gate[:-1], [0], gate[-1:]])
