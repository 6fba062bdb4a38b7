"""Quadratic threshold functions class by class: a partition under the symmetries of forms, and least squares with proofs."""

import numpy as np
import pytest

from allometry.capacity import quadratic
from allometry.capacity.count import circuit
from allometry.capacity.polynomial_functions import polynomial_threshold_functions
from allometry.capacity.quadratic import QuadraticFunctions, form_classes, is_sign
from allometry.capacity.truth import complement, exchange, negate, pack, points, unpack
from allometry.capacity.units import monomials


@pytest.mark.parametrize("inputs", [2, 3, 4])
def test_the_set_is_that_of_duality(inputs: int) -> None:
    heard: list[float] = []
    found = QuadraticFunctions(inputs, lambda done, total: heard.append(done / total))
    every = np.arange(1 << (1 << inputs)).astype(pack(np.zeros((1, 1 << inputs), dtype=bool)).dtype)
    assert np.array_equal(every[found.contains(every)], polynomial_threshold_functions(inputs, 2))
    assert found.count() == len(polynomial_threshold_functions(inputs, 2))
    assert heard


@pytest.mark.parametrize(("inputs", "many"), [(2, 3), (3, 10), (4, 83)])
def test_classes_are_the_orbits_of_forms(inputs: int, many: int) -> None:
    """Even functions of n + 1 inputs, one by one: under permutations and negations of these, and the complement."""
    kinds = form_classes(inputs)
    assert len(kinds.sizes) == many
    assert kinds.sizes.sum() == 1 << (1 << inputs)
    for table, size in zip(kinds.representatives[::7], kinds.sizes[::7], strict=True):
        orbit = waiting = np.array([table])
        while len(waiting):
            images = [complement(waiting, inputs)]
            images += [negate(waiting, inputs, i) for i in range(inputs)]
            images += [exchange(waiting, inputs, i, i - 1) for i in range(1, inputs)]
            images.append(pack(unpack(waiting, inputs)[:, _first_exchanged(inputs)]))
            waiting = np.setdiff1d(np.concatenate(images), orbit)
            orbit = np.concatenate([orbit, waiting])
        assert len(orbit) == size


def _first_exchanged(inputs: int) -> np.ndarray:
    """Where f(x) stands after x_0 and x_1 of the even F(x_0, x) are exchanged: F(x_1, 1, x_2, ...) = f(x_1 (1, x_2, ...))."""
    grid = points(inputs)
    moved = grid[:, :1] * np.c_[np.ones((len(grid), 1), dtype=int), grid[:, 1:]]
    return (moved > 0) @ (1 << np.arange(inputs))


def test_early_ends_of_least_squares_are_seen(monkeypatch) -> None:
    """A solver that says that it found multipliers, and did not: the linear program decides, by a proof or a polynomial."""
    import scipy.optimize

    monkeypatch.setattr(scipy.optimize, "nnls", lambda rows, goal: (np.zeros(rows.shape[1]), 0.0))
    phi, parity = monomials(3, 2).astype(float), points(3).prod(axis=1).astype(float)
    assert is_sign(points(3)[:, 0].astype(float), phi)
    assert not is_sign(parity, phi)
    assert not quadratic._proves(np.full(8, 0.125), phi)


def test_five_inputs_are_counted_and_not_listed() -> None:
    assert circuit("polynomial_threshold", 5).exact_inputs == circuit("linear_plus_products", 5, gates=2).exact_inputs == 5
    assert circuit("linear_plus_products", 5).exact_inputs == 4
    assert circuit("linear_plus_products", 5, gates=0).count() == 94572
    assert circuit("linear_plus_products", 4, gates=2).count() == 57574


def test_two_products_are_asked_for_all_quadratic_functions_of_five(monkeypatch) -> None:
    for module in ("linear_plus_products", "polynomial_threshold"):
        monkeypatch.setattr(f"allometry.capacity.circuits.{module}.QuadraticFunctions", _Some)
    assert circuit("linear_plus_products", 5, gates=2).count() == circuit("polynomial_threshold", 5).count() == 7


class _Some:
    def __init__(self, inputs: int, listen: object) -> None: ...

    def count(self) -> int:
        return 7
