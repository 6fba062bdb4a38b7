"""Counts of what circuits compute: the reference's table by neurons and by sets, the bounds, and every identity that is proved."""

import functools
import itertools
import math

import numpy as np
import pytest

from allometry.capacity import bounds
from allometry.capacity.circuits import _circuit, _factors
from allometry.capacity.circuits._circuit import Circuit
from allometry.capacity.circuits.shared_gate import SINGLES
from allometry.capacity.count import capacity, circuit
from allometry.capacity.polynomial_functions import polynomial_threshold_functions, spanned, weakly_linear
from allometry.capacity.symmetry import Listed, Orbits, Plain, Rows, classes
from allometry.capacity.three_valued import ThreeValued, motions
from allometry.capacity.threshold_functions import (
    PUBLISHED,
    representatives,
    representatives_with,
    threshold_functions,
    threshold_functions_count,
    without_bias,
)
from allometry.capacity.truth import choose, complement, exchange, high_half, low_half, negate, pack, points, unpack
from allometry.capacity.units import distinct, whole_weights

# Without biases, of the circuits that the reference gives with them: convention, circuit, counts.
BARE = [
    ("pm", "multiplexing", (2, 4, 16)),
    ("01", "multiplexing", (4, 14, 136)),
    ("pm", "activation_gating", (2, 4, 16)),
    ("01", "activation_gating", (2, 7, 66)),
    ("pm", "additive_synaptic", (4, 16, 188)),
    ("01", "additive_synaptic", (2, 8, 96)),
    ("pm", "synaptic_gating", (2, 6, 34)),
    ("01", "synaptic_gating", (2, 7, 56)),
]
# Section 6.1 of the reference: circuit, options, counts at n = 1, 2, 3.
SINGLE = [
    ("threshold", {}, (4, 14, 104)),
    ("threshold", {"bias": False}, (2, 4, 14)),
    ("threshold", {"bias": False, "convention": "01"}, (2, 6, 32)),
    ("output_gating", {"convention": "01"}, (4, 16, 246)),
    ("output_gating", {}, (4, 16, 254)),
    ("output_gating", {"convention": "mixed"}, (9, 71, 2373)),
    ("activation_gating", {"convention": "01"}, (4, 16, 254)),
    ("activation_gating", {}, (4, 16, 254)),
    ("multiplexing", {}, (4, 16, 256)),
    ("synaptic_gating", {"convention": "01"}, (4, 14, 132)),
    ("synaptic_gating", {"convention": "01", "synapse": "any"}, (4, 14, 164)),
    ("synaptic_gating", {}, (4, 16, 252)),
    ("synaptic_gating", {"synapse": "any"}, (4, 16, 254)),
    ("synaptic_gating", {"convention": "reversed"}, (4, 16, 216)),
    ("synaptic_gating", {"convention": "reversed", "synapse": "any"}, (4, 16, 252)),
    ("synaptic_gating", {"convention": "mixed"}, (4, 14, 144)),
    ("synaptic_gating", {"convention": "mixed", "synapse": "any"}, (4, 14, 200)),
    ("additive_synaptic", {"convention": "01"}, (4, 16, 224)),
    ("additive_synaptic", {"convention": "01", "synapse": "any"}, (4, 16, 252)),
    ("additive_synaptic", {}, (4, 16, 252)),
    ("additive_synaptic", {"synapse": "any"}, (4, 16, 254)),
    ("synaptic_gating", {"convention": "01", "synapse": "all"}, (4, 16, 248)),
    ("synaptic_gating", {"synapse": "all"}, (4, 16, 254)),
    ("synaptic_gating", {"convention": "01", "synapse": "each"}, (4, 16, 254)),
    ("synaptic_gating", {"synapse": "each"}, (4, 16, 256)),
    ("output_gating", {"convention": "01", "bias": False, "domain": "pm"}, (3, 9, 71)),
    ("output_gating", {"bias": False}, (2, 4, 16)),
    ("output_gating", {"convention": "01", "bias": False}, (2, 7, 66)),
    ("output_gating", {"bias": False, "domain": "01"}, (2, 8, 118)),
    *[(name, {"bias": False, "convention": low}, counts) for low, name, counts in BARE],
    ("output_gating", {"convention": "01", "gates": 2}, (4, 16, 254)),
    ("output_gating", {"convention": "01", "gates": 3}, (4, 16, 256)),
    ("output_gating", {"gates": 2}, (4, 16, 256)),
    ("output_gating", {"convention": "01", "degree": 2}, (4, 16, 256)),
]
LAYERS = [
    ("mixed", 1, (9, 71, 2373)),
    ("mixed", 2, (25, 533, 101481)),
    ("mixed", 3, (81, 5081, 5868081)),
    ("01", 2, (16, 242, 35846)),
    ("01", 3, (64, 3346, 3452730)),
    ("pm", 2, (16, 256, 63724)),
    ("pm", 3, (64, 4096, 14348696)),
]


def title(value: object) -> str | None:
    return " ".join(map(str, value.values())) if isinstance(value, dict) else None


def test_what_is_seen_through_a_gate_is_counted_by_halves() -> None:
    """D(g), the count of which is heard of, and what is exact at six inputs by it."""
    every, heard = threshold_functions(3), []
    _factors._shown.pop((3, 1), None)
    found = _factors.shown(3, listen=lambda done, total: heard.append(done / total))
    assert found == tuple(len(np.unique(every & g)) for g in representatives(3)[0])
    assert heard[-1] == 1
    mixed = {"convention": "mixed"}
    assert circuit("output_gating", 6, **mixed).exact_inputs == circuit("shared_gate", 6, **mixed).exact_inputs == 6
    assert len(representatives(6)[0]) == 1113
    assert circuit("output_gating", 5).exact_inputs == 5


def test_threshold_functions_are_as_many_as_published() -> None:
    assert [threshold_functions_count(n) for n in range(7)] == list(PUBLISHED[:7])
    for n in range(6):
        tables = threshold_functions(n)
        assert len(np.unique(tables)) == len(tables) == PUBLISHED[n] == representatives(n)[1].sum()
    # OEIS A000615, functions of exactly n variables
    assert PUBLISHED[6] == sum(
        c * a for c, a in zip((1, 6, 15, 20, 15, 6, 1), (2, 2, 8, 72, 1536, 86080, 14487040), strict=True)
    )


@pytest.mark.parametrize(("name", "options", "counts"), SINGLE, ids=title)
def test_the_table_by_sets(name: str, options: dict, counts: tuple) -> None:
    assert tuple(circuit(name, n, **options).count() for n in (1, 2, 3)) == counts


# The same rows by definition: neurons with whole weights, all of them, and the truth tables that come out.


@pytest.mark.parametrize(("name", "options", "counts"), SINGLE, ids=title)
def test_the_table_by_definition(name: str, options: dict, counts: tuple) -> None:
    options = dict(options)
    moved = options.get("synapse") == "any"
    if moved:
        options["synapse"] = "fixed"
    found = {}
    for n in (1, 2, 3):
        built = circuit(name, n, **options)
        tables = functools.reduce(np.union1d, responses(built))
        if moved:  # the gated synapse is the last one; any other one is the last after an exchange of inputs
            tables = np.unique([exchange(tables.astype(np.uint8), n, i, n - 1) for i in range(n)])
        found[n] = len(tables)
    assert tuple(found.values()) == counts


@functools.cache
def responses(built) -> list[np.ndarray]:
    """Outputs of the circuit over all whole weights, as numbers in base 3 or tables; an array for each output of the gates."""
    n, option = (
        built.inputs,
        {name: getattr(built, name, value) for name, value in (("bias", True), ("synapse", ""), ("degree", 1))},
    )
    gate = unit_weights(n, option["degree"], option["bias"], built.input_low)
    attended = (
        gate if built.convention in ("01", "pm") else whole_weights(n, 3)
    )  # three parallel thresholds need more weights
    extra = built.weights - attended.shape[1]
    if extra:  # c of a gate, or the outer bias, beside the weights: a whole number, or a half one
        own = whole_weights(n, 2)
        value = np.arange(-4, 5) + (0.5 if built.name == "activation_gating" else 0)
        if not option["bias"] and built.name == "activation_gating":
            own, value = gate, gate[:1, -1]
        elif not option["bias"]:  # with a half one no sum is 0 but that at x = 0
            own, value = unit_weights(n, 1, False, built.input_low, ties=True), np.arange(-4, 5) + 0.5
        attended = np.insert(np.repeat(own, len(value), axis=0), n, np.tile(value, len(own)), axis=1)
        if built.name == "activation_gating":
            attended = np.concatenate([np.delete(attended, n, axis=1), attended[:, n : n + 1]], axis=1)
    signals = distinct(built.signals(gate))
    units = 0 if built.name == "threshold" else n if option["synapse"] == "each" else getattr(built, "gates", 1)
    if units > 1 and option["synapse"] != "each":  # only the product of several gates is seen
        for _ in range(units - 1):
            signals = distinct((signals[:, None] * distinct(built.signals(gate))).reshape(-1, 1 << n))
        units = 1
    if option["synapse"] == "each":
        return each_gate(built, attended, signals)
    outputs = [np.ones((1, 1 << n), dtype=int)] if not units else [s[None] for s in signals]
    found = []
    if built.name in ("output_gating", "threshold"):  # the unit's own outputs are the same for all gates
        units_out = distinct(
            np.where(built.sums(attended, np.broadcast_to(1, (len(attended), 1, 1 << n))) > 0, 1, built.attended_low)
        )
        return [encode(units_out * (s[0] if units else 1), built.values) for s in outputs]
    alone = np.eye(built.weights)
    for s in outputs:
        phi = built.sums(alone, np.broadcast_to(s, (len(alone), *s.shape)))
        found.append(encode(np.where(attended @ phi > 0, 1, -1), built.values))
    return found


def each_gate(built, attended: np.ndarray, signals: np.ndarray) -> list[np.ndarray]:
    n, grid = built.inputs, points(built.inputs, built.attended_low)
    # what the unit sees of x_i g_i; equal ones are seen once
    seen = [distinct(grid[:, i] * signals) for i in range(n)]
    outputs = distinct(np.where(attended @ np.c_[grid, np.ones(1 << n)].T > 0, 1, 0)).astype(bool)
    found = np.zeros(1 << (1 << n), dtype=bool)
    for head in itertools.product(*seen[1:]):
        place = (seen[0] > 0).astype(int) + sum(
            ((h > 0).astype(int) << (i + 1) for i, h in enumerate(head)), np.zeros(1 << n, dtype=int)
        )
        found[pack(outputs[:, place])] = True
        if found.all():
            break
    return [np.flatnonzero(found)]


def unit_weights(n: int, degree: int, bias: bool, low: int, ties: bool = False) -> np.ndarray:
    """All weights to 3, biases of half numbers. Without a bias: weights of different sizes, and H(0) = 1 by a bias that is tiny."""
    if degree == 2:
        from allometry.capacity.units import monomials

        terms = monomials(n, 2).shape[1] - 1
        own = np.array(list(itertools.product(range(-1, 2) if n < 3 else range(-2, 3), repeat=terms)), dtype=float)
        return np.insert(np.repeat(own, 5, axis=0), terms, np.tile([-3.5, -1.5, -0.5, 0.5, 2.5], len(own)), axis=1)
    if bias:
        return whole_weights(n, 3 if n < 3 else 2)
    sizes = np.array(list(itertools.product(range(-3, 4), repeat=n)), dtype=float)
    odd = sizes[(sizes @ points(n).T != 0).all(axis=1) | ties] if low == -1 else sizes + np.array([0.1, 0.21, 0.43])[:n]
    return np.c_[odd, np.full(len(odd), 0.0 if low == -1 else 1e-9)]


def encode(values: np.ndarray, base: int) -> np.ndarray:
    if base == 2:
        return np.unique(pack(values > 0))
    return np.unique((values + 1) @ 3 ** np.arange(values.shape[1]))


@pytest.mark.parametrize(("convention", "units", "counts"), LAYERS)
def test_layers_with_a_shared_gate_by_sets_and_by_definition(convention: str, units: int, counts: tuple) -> None:
    assert tuple(circuit("shared_gate", n, convention=convention, units=units).count() for n in (1, 2, 3)) == counts
    for n in (1, 2, 3):
        sets = responses(circuit("output_gating", n, convention=convention))
        assert tuples(sets, units) == counts[n - 1]


def tuples(sets: list[np.ndarray], length: int) -> int:
    """How many m-tuples lie in one of the sets: for each first member those of length m - 1 in the sets that have it, the last
    two by marks of all pairs."""
    if length == 1:
        return len(functools.reduce(np.union1d, sets))
    members = functools.reduce(np.union1d, sets)
    different = {each.tobytes(): each for each in sets}  # a gate and its complement may give the same
    places = [np.searchsorted(members, each) for each in different.values()]
    if length == 2:
        found = np.zeros((len(members), len(members)), dtype=bool)
        for each in places:
            found[np.ix_(each, each)] = True
        return int(np.count_nonzero(found))
    having: list[list[np.ndarray]] = [[] for _ in members]
    for each in places:
        for first in each:
            having[first].append(each)
    return sum(tuples(some, length - 1) for some in having)


@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_tuples_are_counted_once(length: int) -> None:
    generator = np.random.default_rng(length)
    sets = [np.flatnonzero(generator.random(7) < 0.6) for _ in range(4)]
    assert tuples(sets, length) == len(set().union(*(itertools.product(each.tolist(), repeat=length) for each in sets)))


def test_a_layer_knows_how_many_functions_one_of_its_units_has() -> None:
    """By which it says whether its tuples are too many to count."""
    for convention, singles in SINGLES.items():
        assert singles[1:] == tuple(circuit("output_gating", n, convention=convention).count() for n in (1, 2, 3))
        for units, most in ((2, 3), (3, 3), (4, 2), (7, 2), (8, 1), (14, 1), (15, 0)):
            assert circuit("shared_gate", 3, convention=convention, units=units).exact_inputs == most


def test_private_gates_are_a_product() -> None:
    for convention, single in (("01", 246), ("pm", 254), ("mixed", 2373)):
        assert circuit("private_gates", 3, convention=convention, units=3).count() == single**3


def test_disjoint_inputs_have_a_closed_form() -> None:
    for n, counts in ((1, (10, 8, 13)), (2, (170, 98, 183))):
        one = unpack(threshold_functions(n), n)
        both = [(f, g) for f in one for g in one]
        forms = {
            "01": {np.outer(f, g).tobytes() for f, g in both},
            "pm": {(f[:, None] == g).tobytes() for f, g in both},
            "mixed": {np.outer(np.where(f, 1, -1), g).tobytes() for f, g in both},
        }
        for (convention, found), count in zip(forms.items(), counts, strict=True):
            assert circuit("disjoint_gating", n, convention=convention).count() == len(found) == count


# Sets that are kept by classes, against all pairs one by one, where errors of symmetry would show: four inputs.


def pairs_of_four(name: str, **options) -> np.ndarray:
    return circuit(name, 4, **options).functions().tables()


def everything_of(blocks) -> np.ndarray:
    found = np.zeros(1 << 16, dtype=bool)
    for block in blocks:
        found[block] = True
    return np.flatnonzero(found)


def test_sets_of_four_inputs_by_brute_force() -> None:
    n, every = 4, threshold_functions(4)
    assert np.array_equal(pairs_of_four("output_gating", convention="01"), everything_of(every & f for f in every))
    assert np.array_equal(pairs_of_four("output_gating"), everything_of(every ^ f for f in every))
    assert np.array_equal(
        pairs_of_four("synaptic_gating"),
        everything_of(choose(every, f, h) for h, f in zip(negate(every, n, 3), every, strict=True)),
    )
    assert np.array_equal(
        pairs_of_four("synaptic_gating", convention="01"),
        everything_of(choose(every, f, (f & 0xFF) | (f & 0xFF) << 8) for f in every),
    )


def test_sets_of_parallel_pairs_of_four_inputs_by_brute_force() -> None:
    """All 94,572 pairs (F at g false, at g true), for one gate of each class: what is closed under B_4 has its other gates' too."""
    n, kinds = 4, classes(4)
    low, high, gates = low_half(threshold_functions(5), 5), high_half(threshold_functions(5), 5), representatives(4)[0]
    inputs = [pack(points(n)[None, :, i] > 0) for i in range(n)]
    for name, options, found in (
        ("multiplexing", {}, [choose(g, high, low) for g in gates]),
        ("activation_gating", {}, [choose(g, high, ~low) for g in gates]),
        ("additive_synaptic", {"synapse": "any"}, [choose(~(g ^ x), high, low) for g in gates for x in inputs]),
    ):
        tables = pairs_of_four(name, **options)
        rows = np.unique(kinds.row[everything_of(found)])
        assert np.array_equal(np.unique(kinds.row[tables]), rows)
        assert kinds.sizes[rows].sum() == len(tables)


def test_representatives_give_everything() -> None:
    """Closed under the symmetries that they leave out, they are all threshold functions of n + 1 inputs."""
    for n in (1, 2, 3):
        wide = representatives_with(n, 1)
        images = {wide.tobytes(): wide}
        found = set(wide.tolist())
        while True:
            tables = np.array(sorted(found)).astype(wide.dtype)
            more = [negate(tables, n + 1, i) for i in range(n + 1)]
            more += [exchange(tables, n + 1, i, j) for i in range(n) for j in range(i)]
            grown = found.union(*(m.tolist() for m in more))
            if grown == found:
                break
            found = grown
        assert len(found) == PUBLISHED[n + 1], images


@pytest.mark.parametrize("inputs", [1, 2, 3, 4])
def test_orbits_are_sets(inputs: int) -> None:
    """Any functions: orbits hold their images under all permutations of the inputs, and nothing else."""
    some = np.random.default_rng(inputs).integers(0, 1 << (1 << inputs), 3).astype(threshold_functions(inputs).dtype)
    orbits, bits = Orbits(inputs), points(inputs, 0)
    assert not orbits.contains(some).any()
    assert Listed(inputs).contains(some).tolist() == [False] * 3
    orbits.add(some)
    moved = [bits[:, list(order)] @ (1 << np.arange(inputs)) for order in itertools.permutations(range(inputs))]
    images = np.unique(np.concatenate([pack(unpack(some, inputs)[:, move]) for move in moved]))
    assert np.array_equal(orbits.tables(), images)
    assert orbits.count() == len(images)
    every = np.arange(1 << (1 << inputs)).astype(some.dtype)
    assert np.array_equal(every[orbits.contains(every)], images)


def test_products_without_biases_are_all_pairs() -> None:
    """Four inputs, one pair at a time; and the count of five is heard of while it is made."""
    for low, name in ((0, "01"), (-1, "pm")):
        for input_low, domain in ((0, "01"), (-1, "pm")):
            own, heard = without_bias(4, input_low), []
            built = circuit("output_gating", 4, convention=name, domain=domain, bias=False)
            pairs = everything_of(own & f if low == 0 else ~(own ^ f) for f in own)
            assert np.array_equal(
                built.functions(lambda done, total, heard=heard: heard.append(done / total)).tables(), pairs
            )
            assert heard == sorted(heard)
            assert heard[-1] == 1


@pytest.mark.parametrize("inputs", [1, 2, 3, 4])
def test_rows_are_sets(inputs: int) -> None:
    """Any functions: rows hold their orbit under B_(n-1), and after closing under B_n."""
    some = np.random.default_rng(inputs).integers(0, 1 << (1 << inputs), 3).astype(threshold_functions(inputs).dtype)
    rows = Rows(inputs)
    rows.add(some)
    for last in (inputs - 1, inputs):
        closed = Plain(inputs)
        group = [some]
        for i in range(last):
            group += [negate(g, inputs, i) for g in group]
        for j in range(1, last):
            group += [exchange(g, inputs, i, j) for i in range(j) for g in group]
        for g in group:
            closed.add(g)
        assert np.array_equal(rows.tables(), closed.tables())
        assert np.array_equal(np.sort(np.concatenate(list(rows.blocks()))), closed.tables())
        rows.close()


# Bounds and identities


@functools.cache
def functions_of(built):
    return built.functions()


CIRCUITS = [(name, options) for name, options, _ in SINGLE] + [
    ("polynomial_threshold", {"degree": 2}),
    ("polynomial_threshold", {"degree": 3}),
    ("hard_attention", {}),
    ("linear_plus_products", {"gates": 0}),
    ("linear_plus_products", {}),
    ("disjoint_gating", {}),
    ("private_gates", {"convention": "mixed"}),
    ("shared_gate", {"convention": "mixed"}),
    ("synaptic_gating", {"gates": 2}),
    ("output_gating", {"convention": "mixed", "gates": 2}),
]


@pytest.mark.parametrize(("name", "options"), CIRCUITS, ids=title)
def test_counts_are_between_their_bounds(name: str, options: dict) -> None:
    for n in (1, 2, 3, 4):
        built = circuit(name, n, **options)
        if built.values == 3 and n == 4 and options.get("gates", 1) > 1:
            continue  # 5,893,395 of them: benchmarks/capacity.py
        if n <= built.exact_inputs and options.get("degree", 1) * n < 8:
            count = (
                built.count()
                if built.values == 3 or built.outputs > 1 or name == "disjoint_gating"
                else functions_of(built).count()
            )
            assert built.lower() <= count <= built.upper() <= built.ceiling
    assert circuit(name, 12, **options).lower() <= circuit(name, 12, **options).upper()


def difference(values: list[float], times: int) -> float:
    """Of a n^p the p-th difference is p! a, whatever is below n^p."""
    return float(np.diff(values, times)[-1])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *CIRCUITS,
        *[(n, {"gates": 3}) for n in ("multiplexing", "activation_gating", "synaptic_gating", "linear_plus_products")],
    ],
    ids=title,
)
def test_the_leading_term_is_what_both_bounds_give(name: str, options: dict, monkeypatch) -> None:
    """Were T(n, d) = 2^(n^(d+1)): log2 of the bounds are then polynomials in n, and their leading terms are read off."""

    def ideal(inputs: int, degree: int = 1) -> int:
        return 1 << max(inputs, 0) ** (degree + 1)

    degree, sizes = options.get("degree", 1), range(9, 14)
    monkeypatch.setattr(bounds, "fewest", ideal)
    monkeypatch.setattr(bounds, "most", ideal)
    monkeypatch.setattr(Circuit, "ceiling", 1 << 20_000)  # all functions are too few yet at these n
    monkeypatch.setattr(_circuit, "MOST_DIGITS", 10**6)
    monkeypatch.setattr(bounds, "schlaefli", lambda features, points: points**features)
    built = [circuit(name, n, **options) for n in sizes]
    factor, power = built[0].leading_at_most
    expected = factor * math.factorial(power) * math.factorial(degree)
    assert difference([bounds.log2(one.upper()) for one in built], power) == pytest.approx(expected, rel=0.06)
    lower = difference([bounds.log2(one.lower()) for one in built], power)
    if built[0].leading is None:
        assert lower < 0.9 * expected  # else it would be a theorem
    else:
        assert built[0].leading == (factor, power)
        assert lower == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize(("name", "options"), CIRCUITS, ids=title)
def test_parameters_are_the_weights_of_all_units(name: str, options: dict) -> None:
    for n in (2, 4):
        built, unit = circuit(name, n, **options), n + 1
        bias, degree = getattr(built, "bias", True), getattr(built, "degree", 1)
        known = {
            "disjoint_gating": 2 * unit,
            "private_gates": 2 * unit * built.outputs,
            "shared_gate": unit * (1 + built.outputs),
            "linear_plus_products": built.weights,
            "hard_attention": built.weights + 2 * unit,  # two scores, of which the difference is seen
        }
        gates = 0 if "threshold" in name else n if options.get("synapse") == "each" else getattr(built, "gates", 1)
        lost = (not bias) * (1 + (name == "activation_gating"))  # it has an outer bias beside
        weights = built.weights - lost + gates * (bounds.features(n, degree) - (not bias)) if name not in known else 0
        assert built.parameters == known.get(name, weights)


def test_capacity_is_measured_against_one_unit() -> None:
    assert capacity("threshold", 4).normalised == 1
    found = capacity("output_gating", 4)
    assert found.log2 == math.log2(54310)
    assert found.normalised == pytest.approx(math.log2(54310) / math.log2(1882))
    assert found.asymptote == 2 * 4**2
    assert capacity("linear_plus_products", 4).asymptote is None


def test_published_counts_are_said_where_nothing_is_counted() -> None:
    for n, bias in ((8, True), (9, True), (10, False)):
        found = capacity("threshold", n, bias=bias)
        assert (found.count, found.exact, found.circuit.published) == (PUBLISHED[n - (not bias)], True, found.lower)
    assert capacity("threshold", 10).count is None
    below = [circuit("threshold", n, convention="01", bias=False) for n in range(1, 6)]
    assert all(one.lower() <= one.count() <= one.upper() for one in below)


def test_bounds_of_the_reference() -> None:
    assert [bounds.schlaefli(n + 1, 1 << n) >= PUBLISHED[n] for n in range(1, 10)] == [True] * 9
    assert [bounds.threshold_at_least(n) <= PUBLISHED[n] for n in range(10)] == [True] * 10
    assert all((2**n + 1) * PUBLISHED[n] <= PUBLISHED[n + 1] for n in range(9))  # L1
    assert [bounds.products_01(2, PUBLISHED[n]) for n in (1, 2, 3)] == [10, 105, 5460]
    assert [bounds.products_pm(2, PUBLISHED[n]) for n in (1, 2, 3)] == [4, 44, 2654]
    assert [circuit("synaptic_gating", n, convention="01").lower() for n in (1, 2, 3)] == [4, 14, 128]


@functools.cache
def functions(name: str, inputs: int, **options) -> frozenset[int]:
    return frozenset(functions_of(circuit(name, inputs, **options)).tables().tolist())


@pytest.mark.parametrize("inputs", [1, 2, 3, 4])
def test_inclusions_and_identities_hold(inputs: int) -> None:
    """L9, and what is closed under the complement."""
    of = functools.partial(functions, inputs=inputs)
    full = (1 << (1 << inputs)) - 1
    conjunctions, mux, xnor = of("output_gating", convention="01"), of("multiplexing"), of("output_gating")
    disjunctions = {full ^ f for f in conjunctions}
    assert conjunctions | disjunctions <= mux
    assert of("activation_gating", convention="01") == conjunctions | disjunctions
    assert xnor <= of("activation_gating")
    assert xnor <= of("polynomial_threshold")
    assert of("output_gating", gates=2) <= of("polynomial_threshold", degree=3)
    for synapse in ("fixed", "any"):
        gated, added = (of(name, convention="01", synapse=synapse) for name in ("synaptic_gating", "additive_synaptic"))
        assert gated <= added <= mux
        assert of("synaptic_gating", synapse=synapse) <= of("additive_synaptic", synapse=synapse)
    for closed in (xnor, mux, of("activation_gating"), of("synaptic_gating"), of("additive_synaptic"), of("hard_attention")):
        assert {full ^ f for f in closed} == closed
    assert mux <= of("hard_attention")
    for name in (
        "output_gating",
        "multiplexing",
    ):  # where x_n = 1 its weight is a bias; at the opposite point stands the rest
        without = circuit(name, inputs, bias=False).count()
        assert without == (circuit(name, inputs - 1).count() if inputs > 1 else 2)
    for convention in ("01", "pm"):
        bare = of("multiplexing", convention=convention, bias=False)
        assert bare <= mux
        assert of("additive_synaptic", convention=convention, bias=False) <= of("additive_synaptic", convention=convention)
        assert of("synaptic_gating", convention=convention, bias=False) <= of("synaptic_gating", convention=convention)
    products = of("output_gating", bias=False)
    assert of("activation_gating", bias=False) == products
    assert {full ^ f for f in of("activation_gating", convention="01", bias=False)} <= conjunctions  # g and not f
    if inputs == 3:
        assert len(conjunctions | disjunctions) == 254
        assert len(conjunctions & disjunctions) == 238
        assert conjunctions <= xnor
        assert of("synaptic_gating") <= xnor
        assert of("activation_gating") <= xnor  # at three inputs; not a theorem


def test_duality_gives_the_polynomial_threshold_functions() -> None:
    assert [len(weakly_linear(n)) for n in (2, 3, 4)] == [14, 152, 7962]
    assert [len(spanned(n)) for n in (2, 3, 4)] == [6, 20, 140]
    assert [len(polynomial_threshold_functions(n, n - 2)) for n in (3, 4)] == [104, 57574]
    assert [len(polynomial_threshold_functions(n, n - 1)) for n in (2, 3, 4)] == [14, 254, 65534]
    assert np.array_equal(polynomial_threshold_functions(3, 1), threshold_functions(3))


def test_a_linear_form_and_one_product_give_the_last_quadratic_function() -> None:
    from allometry.capacity.circuits.linear_plus_products import LAST

    built = circuit("linear_plus_products", 4)
    sums = built.sums(np.array([LAST[1]]), np.zeros((1, 0, 16), dtype=int))
    assert (sums != 0).all()
    assert pack(sums > 0)[0] == LAST[0]
    some = np.random.default_rng(0).normal(size=(5000, built.weights))
    assert built.functions().contains(pack(built.sums(some, np.zeros((5000, 0, 16), dtype=int)) > 0)).all()


RANDOM = [
    *[(name, options) for name, options in CIRCUITS if name not in ("disjoint_gating", "private_gates", "shared_gate")],
    ("activation_gating", {"gates": 2}),
    ("activation_gating", {"gates": 2, "convention": "01"}),
    ("multiplexing", {"gates": 2}),
    ("multiplexing", {"gates": 3, "convention": "01"}),
    ("additive_synaptic", {"convention": "mixed"}),
    ("additive_synaptic", {"convention": "reversed"}),
    ("hard_attention", {"convention": "01"}),
    ("linear_plus_products", {"gates": 2}),
]


@pytest.mark.parametrize(("name", "options"), RANDOM, ids=title)
def test_random_real_weights_fall_inside_and_reach_all_of_two_inputs(name: str, options: dict) -> None:
    generator = np.random.default_rng(0)
    for n in (2, 3, 4):
        built = circuit(name, n, **options)
        if n > built.exact_inputs or built.values == 3 or not options.get("bias", True) or n * options.get("degree", 1) > 6:
            continue
        units = (
            n if options.get("synapse") == "each" else getattr(built, "gates", 1) if name != "linear_plus_products" else 0
        )
        gate_weights = bounds.features(n, getattr(built, "degree", 1)) if name == "output_gating" else n + 1
        signals = (
            built.signals(generator.normal(size=(4000, units, gate_weights)))
            if name != "polynomial_threshold"
            else np.ones((4000, 1, 1 << n), dtype=int)
        )
        values = built.respond(generator.normal(size=(4000, built.weights)), signals)
        assert functions_of(built).contains(pack(values > 0)).all()
        if n == 2:
            assert len(np.unique(pack(values > 0))) == functions_of(built).count()


def test_two_multiplexing_gates_give_all_functions_of_four_inputs() -> None:
    """A function of each class, found by drawing thresholds F of six inputs and two threshold functions g: F(x, g_1(x), g_2(x))."""
    n, kinds, generator = 4, classes(4), np.random.default_rng(0)
    tables, gates = representatives_with(n, 2), threshold_functions(n)
    missing = np.ones(len(kinds.representatives), dtype=bool)
    for _ in range(5_000):
        table, gate = int(generator.choice(tables)), generator.choice(gates, (32, 1))
        off, one, other, both = (np.uint16(table >> 16 * k & 0xFFFF) for k in range(4))  # neither gate, g_1, g_2, both
        found = choose(gates, choose(gate, both, other), choose(gate, one, off))
        missing[kinds.row[found]] = False
        if not missing.any():
            break
    assert not missing.any()
    assert circuit("multiplexing", n, gates=2).count() == 1 << 16
    assert circuit("multiplexing", 3).count() == 1 << 8


# Gates for a synapse each, four to a row, with which all threshold units together give a function of each class.
EACH = (
    (64988, 45055, 64853, 48), (3919, 61322, 48896, 64511), (16468, 61695, 16596, 57164), (61600, 65293, 52478, 35852),
    (3823, 2287, 60040, 43144), (29040, 65530, 61132, 65459), (1037, 62717, 84, 36590), (64507, 12663, 12288, 57292),
    (13104, 207, 699, 59), (61423, 21504, 208, 64496), (65283, 1092, 45755, 43691), (770, 21765, 12338, 54517),
    (32543, 61984, 45818, 514), (21757, 17668, 52462, 21828), (206, 43680, 7937, 17628),
)  # fmt: skip


def test_a_gate_on_each_synapse_gives_all_functions_of_four_inputs() -> None:
    """In {-1, +1} the set is closed under B_4 and the complement: fifteen choices of gates meet each class of functions."""
    n, kinds, missing = 4, classes(4), np.ones(len(classes(4).representatives), dtype=bool)
    assert np.isin(EACH, threshold_functions(n)).all()
    units = whole_weights(n, 3)
    units = units[np.unique(pack(units @ np.c_[points(n), np.ones(16)].T > 0), return_index=True)[1]]
    built = circuit("synaptic_gating", n, synapse="each")
    for gates in EACH:
        signals = np.where(unpack(np.array(gates, dtype=np.uint16), n), 1, -1)
        tables = pack(built.sums(units, np.broadcast_to(signals, (len(units), *signals.shape))) > 0)
        missing[kinds.row[tables]] = missing[kinds.row[complement(tables, n)]] = False
    assert not missing.any()
    assert built.count() == 1 << 16
    assert circuit("synaptic_gating", n, convention="01", synapse="each").exact_inputs == 3  # there it is not known


def test_classes_of_all_functions() -> None:
    assert [len(classes(n).representatives) for n in (1, 2, 3, 4)] == [3, 6, 22, 402]
    assert all(classes(n).sizes.sum() == 1 << (1 << n) for n in (1, 2, 3, 4))
    assert complement(np.array([0b0110]).astype(np.uint8), 2)[0] == 0b1001


@pytest.mark.parametrize("n", [1, 2, 3])
def test_which_three_valued_functions_are_gated_units(n: int) -> None:
    """All 3^(2^n) functions, against all products of a unit in {-1, +1} and one in {0, 1}."""
    place = 3 ** np.arange(1 << n)
    every = np.arange(3 ** (1 << n))[:, None] // place % 3 - 1
    units = unpack(threshold_functions(n), n).astype(int)
    made = np.unique((((2 * units - 1)[:, None] * units).reshape(-1, 1 << n) + 1) @ place)
    functions = ThreeValued(n)
    assert np.array_equal(np.flatnonzero(functions.contains(every)), made)
    assert functions.count() == len(made) == circuit("output_gating", n, convention="mixed").count()
    assert len(np.unique(motions(n), axis=0)) == len(classes(n).action)
