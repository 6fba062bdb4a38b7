"""Circuits with and without gates compute their functions, exactly and over all inputs, and are as large as the theory says."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest

from allometry.wiring import dot_product, multiplexer, parity, permutation, quadratic, shaping, xor
from allometry.wiring.__main__ import main, table, wired
from allometry.wiring._wired import Gated, Wired, inputs, unit


def every(values: tuple[float, ...], n: int) -> np.ndarray:
    """All rows of n such values; the first column changes the fastest."""
    return np.array(list(itertools.product(values, repeat=n)), float)[:, ::-1]


def outcome(circuit: Wired, rows: np.ndarray) -> np.ndarray:
    return circuit(rows)[:, 0]


BITS, SIGNS = (0.0, 1.0), (-1.0, 1.0)


def test_exclusive_or() -> None:
    rows = every(BITS, 2)
    true = rows.sum(-1) == 1
    for circuit in (xor.gated(), xor.skipping(), xor.layered()):
        assert np.array_equal(outcome(circuit, rows), true)
    assert np.array_equal(outcome(xor.product(), 1 - 2 * rows), 1 - 2.0 * true)


def test_one_gating_gives_all_sixteen_functions_of_two_inputs_and_one_unit_only_fourteen() -> None:
    alone = 0
    for bits in itertools.product((0, 1), repeat=4):
        assert outcome(xor.one_gating(bits), every(BITS, 2)).tolist() == list(bits)
        try:
            xor.threshold(bits, inputs(2))
            alone += 1
        except ValueError:
            assert bits in ((0, 1, 1, 0), (1, 0, 0, 1))
    assert alone == 14


@pytest.mark.parametrize("n", range(1, 11))
def test_parity(n: int) -> None:
    rows = every(BITS, n)
    odd = rows.sum(-1) % 2
    assert np.array_equal(outcome(parity.multiplexed(n), rows), odd)
    assert np.array_equal(outcome(parity.layered(n), rows), odd)
    tree = parity.products(n)
    assert np.array_equal(outcome(tree, 1 - 2 * rows), 1 - 2 * odd)
    assert tree.size.gatings == n - 1
    assert tree.size.depth == math.ceil(math.log2(n))
    assert parity.layered(n).size.units == n + 1


@pytest.mark.parametrize("gates", [1, 2, 3])
def test_k_multiplexing_gates_reach_parity_of_two_to_the_k_plus_one_minus_one(gates: int) -> None:
    most = 2 ** (gates + 1) - 1
    assert parity.multiplexed(most).size.units == gates + 1
    assert parity.multiplexed(most + 1).size.units == gates + 2


def test_dot_product() -> None:
    """Over all vectors of three numbers from -2 to 2 in both, and of 0 and 1."""
    values = every((-2.0, -1.0, 0.0, 1.0, 2.0), 6)
    exact = (values[:, :3] * values[:, 3:]).sum(-1)
    assert np.array_equal(outcome(dot_product.gated(3), values), exact)
    assert np.array_equal(outcome(dot_product.squares(3), values), exact)
    assert not np.array_equal(outcome(dot_product.thresholds(3), values), exact)
    bits = every(BITS, 8)
    assert np.array_equal(outcome(dot_product.thresholds(4), bits), (bits[:, :4] * bits[:, 4:]).sum(-1))
    assert (dot_product.gated(5).size.gatings, dot_product.gated(5).size.depth) == (5, 2)


def test_a_dynamic_map_is_the_product_of_a_matrix_and_a_vector() -> None:
    rows = np.random.default_rng(0).integers(-9, 10, (200, 20)).astype(float)
    exact = (rows[:, :16].reshape(-1, 4, 4) @ rows[:, 16:, None])[..., 0]
    circuit = permutation.dynamic_map(4)
    assert np.array_equal(circuit(rows), exact)
    assert (circuit.size.gatings, circuit.size.depth, circuit.size.gating_depth) == (16, 1, 1)


def test_conditional_swap() -> None:
    for swap, values in ((permutation.gated_swap, (-3.0, 0.5, 2.0)), (permutation.threshold_swap, BITS)):
        rows = np.array([(c, x, y) for c in BITS for x in values for y in values])
        swapped = np.where(rows[:, :1] == 1, rows[:, [2, 1]], rows[:, [1, 2]])
        assert np.array_equal(permutation.swapped(swap)(rows), swapped)
    assert permutation.swapped(permutation.gated_swap).size.gatings == 1


def test_a_benes_network_reaches_every_permutation() -> None:
    """All of 2 and of 4, and 300 of 8, set by `switches`; and no setting gives what is no permutation."""
    draws = np.random.default_rng(0)
    for n, orders in (
        (2, list(itertools.permutations(range(2)))),
        (4, list(itertools.permutations(range(4)))),
        (8, [tuple(draws.permutation(8).tolist()) for _ in range(300)]),
    ):
        values = np.arange(n) * 1.25 - 3
        rows = np.array([[*permutation.switches(order), *values] for order in orders])
        network = permutation.benes(n, permutation.gated_swap)
        assert np.array_equal(network(rows), values[np.array(orders)])
        stages = 2 * int(math.log2(n)) - 1
        assert network.size.gatings == permutation.swaps(n) == n * int(math.log2(n)) - n // 2
        assert network.size.gating_depth == stages
    rows = np.concatenate([every(BITS, 6), np.tile(np.arange(4.0), (64, 1))], 1)
    assert len({tuple(row) for row in permutation.benes(4, permutation.gated_swap)(rows)}) == math.factorial(4)


def test_a_benes_network_of_units_permutes_bits() -> None:
    rows = every(BITS, 10)
    gated, units = (permutation.benes(4, swap)(rows) for swap in permutation.HOW)
    assert np.array_equal(gated, units)
    with pytest.raises(ValueError, match="2, 4, 8"):
        permutation.benes(6, permutation.gated_swap)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_multiplexer(k: int) -> None:
    rows = every(BITS, k + 2**k)
    address = (rows[:, :k] * 2.0 ** np.arange(k)).sum(-1).astype(int)
    exact = rows[np.arange(len(rows)), k + address]
    for circuit in (multiplexer.one_hot(k), multiplexer.tree(k), multiplexer.thresholds(k)):
        assert np.array_equal(outcome(circuit, rows), exact)
    numbers = np.concatenate([rows[:, :k], rows[:, k:] * 7 - 3], 1)
    assert np.array_equal(outcome(multiplexer.one_hot(k), numbers), exact * 7 - 3)
    assert np.array_equal(outcome(multiplexer.tree(k), numbers), exact * 7 - 3)
    assert multiplexer.one_hot(k).size.gatings == 2**k
    assert multiplexer.tree(k).size.gatings == 2**k - 1


def test_shaping() -> None:
    """On quarters, which are exact in binary; the SiLU to the rounding of exp."""
    rows = np.arange(-40, 41)[:, None] / 4
    s = shaping.WEIGHT * rows[:, 0] + shaping.BIAS
    exact = {"ReLU": np.maximum(s, 0), "|S|": np.abs(s), "S^2": s * s}
    for name, values in exact.items():
        assert np.array_equal(outcome(shaping.gated(name), rows), values)
    for name in ("ReLU", "|S|"):
        assert np.array_equal(outcome(shaping.rectified(name), rows), exact[name])
    np.testing.assert_allclose(outcome(shaping.gated("SiLU"), rows), s / (1 + np.exp(-s)), rtol=1e-15)


def test_a_product_of_two_linear_forms() -> None:
    rows = every((-1.0, 0.0, 1.0, 2.0), 4)
    u, v = [1.0, -2.0, 0.0, 3.0], [2.0, 1.0, 1.0, -1.0]
    circuit = quadratic.rank_one(u, 1.0, v, -2.0)
    assert np.array_equal(outcome(circuit, rows), (rows @ u + 1) * (rows @ v - 2))
    n = 6
    assert quadratic.rank_one([1.0] * n, 1.0, [2.0] * n, 1.0).size.parameters == 2 * (n + 1)


@pytest.mark.parametrize("signature", [(1, 0), (1, 1), (3, 1), (0, 3), (2, 4), (5, 0)])
def test_a_quadratic_form_takes_as_many_gatings_as_its_larger_index(signature: tuple[int, int]) -> None:
    draws, n = np.random.default_rng(0), 6
    turn = np.linalg.qr(draws.normal(size=(n, n)))[0]
    values = [*range(1, signature[0] + 1), *range(-signature[1], 0), *[0] * (n - sum(signature))]
    matrix = turn @ np.diag(np.array(values, float)) @ turn.T
    rows = every((-1.0, 0.0, 1.0), n)
    exact = np.einsum("ri,ij,rj->r", rows, matrix, rows)
    for circuit in (quadratic.gated(matrix), quadratic.monomials(matrix), quadratic.squares(matrix)):
        np.testing.assert_allclose(outcome(circuit, rows), exact, atol=1e-11)
    assert quadratic.gated(matrix).size.gatings == max(signature)
    assert quadratic.squares(matrix).size.units == sum(signature)
    assert quadratic.monomials(matrix).size.gatings == n * (n + 1) // 2


def test_fewer_gatings_cannot_do() -> None:
    """Products of linear forms that are wired: k of them have at most k eigenvalues of either sign, so that a form with more of one
    sign takes more, and `gated` takes no more than that."""
    draws, n = np.random.default_rng(0), 6
    for k in (1, 2, 3):
        for _ in range(20):
            forms = draws.normal(size=(k, 2, n))
            x = inputs(n)
            wired = Wired("", "", n, (unit([Gated(unit(x, u), unit(x, v)) for u, v in forms], [1] * k),))
            assert wired.size.gatings == k
            values = np.linalg.eigvalsh(form_of(wired))
            most = max((values > 1e-9).sum(), (values < -1e-9).sum())
            assert most <= k
            assert quadratic.gated(form_of(wired)).size.gatings == most


def form_of(wired: Wired) -> np.ndarray:
    """The symmetric matrix of a quadratic form, from its values: q(e_i + e_j) = A_ii + A_jj + 2 A_ij."""
    n = wired.inputs
    basis = np.eye(n)
    alone = outcome(wired, basis)
    pairs = outcome(wired, (basis[:, None] + basis).reshape(-1, n)).reshape(n, n)
    return (pairs - alone[:, None] - alone) / 2


def test_sizes_count_nodes_once_and_a_shared_signal_once() -> None:
    x, y, z = inputs(3)
    gate = unit((x,), (1,), 0, "step")
    size = Wired("", "", 3, (Gated(gate, y), Gated(gate, z))).size
    assert (size.units, size.gatings, size.signals, size.depth) == (1, 2, 1, 2)
    with pytest.raises(ValueError, match="3 inputs"):
        Wired("", "", 3, (x,))(np.zeros((2, 2)))


def test_the_table_of_the_documents_is_what_the_command_prints() -> None:
    page = (Path(__file__).parents[1] / "docs" / "gates.md").read_text()
    assert table() in page
    rows = [line for line in table().splitlines()[2:] if line.startswith("|")]
    assert len(rows) == len(wired()) == len(set(rows))
    functions = {one.function for one in wired()}
    modules = (dot_product, multiplexer, parity, quadratic, xor)
    assert {module.NAME for module in modules} < functions
    assert {*shaping.GATES, "permutation", "conditional swap", "linear map"} < functions


def test_the_command_says_what_it_prints_and_takes_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    assert "size and depth of each circuit, with gates and without" in " ".join(capsys.readouterr().out.split())
    with pytest.raises(SystemExit, match="2"):
        main(["xor"])
    capsys.readouterr()
    main([])
    assert capsys.readouterr().out == table() + "\n"


@pytest.mark.parametrize("n", [2, 5, 8])
def test_a_parity_takes_one_gating_fewer_than_factors(n: int) -> None:
    assert parity.products(n).size.gatings == n - 1
