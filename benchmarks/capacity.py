"""Exact counts of what gating circuits compute, to five inputs, and estimates at six: counts, seconds, memory, soundness.

    python benchmarks/capacity.py                 # about 15 minutes on one core; writes results/capacity.json
    python benchmarks/capacity.py --only n4,n5    # a part; what is in the file already is not counted again (--again does)

Each count runs in a process of its own, so that its memory is its own. Soundness: random real weights, a million circuits of a
class, whose truth tables all have to be in the set; of the same tables with one value changed many are outside, or the check could
not fail. Estimates at smaller n stand beside the exact counts that they should meet, with how often their intervals hold the truth.
"""

import argparse
import datetime
import json
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _result import RESULTS, command, machine, versions

from allometry.capacity.bounds import log2
from allometry.capacity.circuits._circuit import Circuit
from allometry.capacity.count import SAMPLES, capacity, circuit
from allometry.capacity.estimate import estimate, summed_up
from allometry.capacity.polynomial_functions import parity, weakly_linear
from allometry.capacity.quadratic import QuadraticFunctions
from allometry.capacity.symmetry import Rows
from allometry.capacity.three_valued import ThreeValued
from allometry.capacity.threshold_functions import threshold_functions
from allometry.capacity.truth import complement, is_in, pack

SINGLE: list[tuple[str, dict[str, Any]]] = [
    ("threshold", {}),
    ("polynomial_threshold", {}),
    *[("output_gating", {"convention": convention}) for convention in ("01", "pm", "mixed")],
    ("multiplexing", {}),
    *[("activation_gating", {"convention": convention}) for convention in ("01", "pm")],
    *[
        ("synaptic_gating", {"convention": convention, "synapse": synapse})
        for convention in ("01", "pm", "mixed", "reversed")
        for synapse in ("fixed", "any")
    ],
    *[
        ("additive_synaptic", {"convention": convention, "synapse": synapse})
        for convention in ("01", "pm")
        for synapse in ("fixed", "any")
    ],
    ("synaptic_gating", {"convention": "01", "synapse": "all"}),
    ("synaptic_gating", {"convention": "pm", "synapse": "all"}),
    ("synaptic_gating", {"convention": "01", "synapse": "each"}),
    ("synaptic_gating", {"convention": "pm", "synapse": "each"}),
    *[("output_gating", {"convention": convention, "gates": 2}) for convention in ("01", "pm", "mixed")],
    ("multiplexing", {"gates": 2}),
    ("linear_plus_products", {}),
    ("linear_plus_products", {"gates": 2}),
    ("hard_attention", {}),
    *[("disjoint_gating", {"convention": convention}) for convention in ("01", "pm", "mixed")],
    *[
        (name, {"convention": convention, "bias": False})
        for name in ("output_gating", "multiplexing", "activation_gating", "synaptic_gating", "additive_synaptic")
        for convention in ("01", "pm")
    ],
]
SAMPLED = [
    *[("output_gating", convention) for convention in ("01", "pm", "mixed")],
    ("multiplexing", "pm"),
    *[(name, convention) for name in ("activation_gating", "synaptic_gating") for convention in ("01", "pm")],
]
DRAWN = 1_000_000
POOL = 20_000  # draws that intervals are made of


def counted(name: str, inputs: int, options: dict[str, Any]) -> dict[str, Any]:
    """One count, with the largest memory of its process. The seconds of the processor are what compares: others use the machine."""
    began = time.process_time()
    found = capacity(name, inputs, **options).to_json()
    used = {"cpu_seconds": time.process_time() - began}
    return found | used | {"megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}


def three_valued() -> dict[str, Any]:
    """Values -1, 0, 1 of six inputs, and layers with one gate from the same D(g)."""
    found = counted("output_gating", 6, {"convention": "mixed"})
    layers = {str(m): circuit("shared_gate", 6, convention="mixed", units=m).count() for m in (2, 3)}
    return found | {"shared_gate": layers}


def sound(name: str, inputs: int, options: dict[str, Any]) -> dict[str, Any]:
    """Random real weights: how many functions are outside the set, and how many are with one value of each changed."""
    built = circuit(name, inputs, **options)
    inside, generator = membership(built), np.random.default_rng(0)
    control = np.random.default_rng(1)
    outside = changed = 0
    for _ in range(DRAWN // 20_000):
        values = drawn(built, generator, 20_000)
        outside += int(np.count_nonzero(~inside(values)))
        changed += int(np.count_nonzero(~inside(with_a_change(values, np.unique(values), control))))
    return {"circuit": name, "inputs": inputs, **options, "drawn": DRAWN, "outside": outside, "changed_outside": changed}


def membership(built: Circuit) -> Callable[[np.ndarray], np.ndarray]:
    """Which functions are in the set, given by their values at all points. Polynomials of degree n - 2 by duality (L10): their set
    is all but a list of the others."""
    if built.values == 3:
        functions = ThreeValued(built.inputs)
        assert functions.count() == built.count()
        return functions.contains
    if built.name != "polynomial_threshold":
        tables = built.functions()
        return lambda values: tables.contains(pack(values > 0))
    if built.degree == 2:
        quadratic = QuadraticFunctions(built.inputs)
        return lambda values: quadratic.contains(pack(values > 0))
    weak = weakly_linear(built.inputs)
    return lambda values: ~is_in(pack(values > 0) ^ parity(built.inputs), weak)


def with_a_change(values: np.ndarray, range_: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Another value of the range at one point of each function."""
    changed, every = values.copy(), np.arange(len(values))
    point = generator.integers(0, values.shape[1], len(values))
    place = np.searchsorted(range_, values[every, point])
    changed[every, point] = range_[(place + generator.integers(1, len(range_), len(values))) % len(range_)]
    return changed


def searched(convention: str) -> dict[str, Any]:
    """Is a function in the set? Sets kept by classes against a search through all factors, at n = 5: functions drawn evenly, and
    products of two units with one value changed, which lie at the edge."""
    built, generator, every = (
        circuit("output_gating", 5, convention=convention),
        np.random.default_rng(0),
        threshold_functions(5),
    )
    functions = built.functions()
    pairs = generator.choice(every, (1000, 2))
    edge = (pairs[:, 0] & pairs[:, 1] if convention == "01" else ~(pairs[:, 0] ^ pairs[:, 1])) ^ (
        np.uint32(1) << generator.integers(0, 32, 1000).astype(np.uint32)
    )
    asked = np.concatenate([generator.integers(0, 1 << 32, 1000).astype(np.uint32), edge])
    found = functions.contains(asked)
    direct = np.array([_is_product(h, every, convention) for h in asked])
    return {
        "convention": convention,
        "inputs": 5,
        "asked": len(asked),
        "inside": int(direct.sum()),
        "differ": int((found != direct).sum()),
    }


def _is_product(h: np.uint32, every: np.ndarray, convention: str) -> bool:
    if convention == "pm":
        return bool(is_in(every ^ ~h, every).any())
    above = every[every & h == h]
    return any(bool((above & f == h).any()) for f in above)


def drawn(built: Circuit, generator: np.random.Generator, count: int) -> np.ndarray:
    """Values at all points of circuits with normal weights, biases and gates' strengths from small to large."""
    scale = np.exp(generator.normal(size=(count, built.weights)))
    if built.name == "polynomial_threshold":
        signals = np.ones((count, 1, 1 << built.inputs), dtype=int)
    else:
        signals = built.signals(generator.normal(size=(count, 1, built.inputs + 1)))
    return built.respond(scale * generator.normal(size=(count, built.weights)), signals)


def estimated(convention: str, inputs: int, samples: int) -> dict[str, Any]:
    """An estimate, and the exact count where one is stored."""
    built = circuit("output_gating", inputs, convention=convention)
    began = time.perf_counter()
    found = estimate(built, samples=samples, seed=0)
    seconds = time.perf_counter() - began
    content = {
        "circuit": "output_gating",
        "inputs": inputs,
        "convention": convention,
        "samples": samples,
        "seconds": seconds,
    }
    content |= {"estimate": found.count, "standard_error": found.standard_error, "log2": log2(int(found.count))}
    known = stored(RESULTS / "capacity.json").get(f"n{inputs} output_gating convention={convention}")
    if known is not None:
        exact = known["count"]
        content |= {"exact": exact, "standard_errors_off": (found.count - exact) / found.standard_error}
    return content


def covered(convention: str, inputs: int) -> dict[str, Any]:
    """How many of 100 intervals of an estimate hold the mean of many draws: by the standard error of the count, and in bits."""
    built, generator = circuit("output_gating", inputs, convention=convention), np.random.default_rng(0)
    draw = built.draws()
    pool = np.array([draw(generator) for _ in range(POOL)])
    truth = float(pool.mean())
    content: dict[str, Any] = {"circuit": "output_gating", "inputs": inputs, "convention": convention, "pool": POOL}
    content |= {"mean": truth, "exact": built.count()}
    for samples in (60, SAMPLES):
        found = [summed_up(generator.choice(pool, samples)) for _ in range(4000)]
        bits = [each.interval() for each in found]
        content[f"{samples} draws"] = {
            "plain": float(np.mean([abs(e.count - truth) < 1.96 * e.standard_error for e in found])),
            "bits": float(np.mean([low < truth < high for low, high in bits])),
            "below": float(np.mean([high < truth for _, high in bits])),
            "above": float(np.mean([low > truth for low, _ in bits])),
        }
    return content


def products(inputs: int, draws: int) -> dict[str, Any]:
    """A linear form and one product: how many functions random weights find, of the quadratic ones. A lower bound."""
    built, generator, found = circuit("linear_plus_products", inputs), np.random.default_rng(0), Rows(inputs)
    for _ in range(draws):
        weights = generator.integers(-3, 4, (20_000, built.weights)) + generator.normal(size=(20_000, built.weights)) * 0.3
        tables = pack(built.sums(weights, np.zeros((20_000, 0, 1 << inputs), dtype=int)) > 0)
        found.add(tables)
        found.add(complement(tables, inputs))
    return {"circuit": "linear_plus_products", "inputs": inputs, "found": found.close().count(), "drawn": draws * 20_000}


def jobs() -> dict[str, tuple[Any, tuple]]:
    """What there is to do, by name."""
    work: dict[str, tuple[Any, tuple]] = {f"products n{n}": (products, (n, draws)) for n, draws in ((4, 120), (5, 1000))}
    for inputs in (5, 4, 3, 2, 1):
        for name, options in SINGLE:
            if inputs <= circuit(name, inputs, **options).exact_inputs:
                said = " ".join(f"{k}={v}" for k, v in options.items())
                work[f"n{inputs} {name} {said}".strip()] = (counted, (name, inputs, options))
    work |= {f"n{inputs} threshold": (counted, ("threshold", inputs, {})) for inputs in (6, 7)}
    work["sound polynomial_threshold degree=2"] = (sound, ("polynomial_threshold", 5, {"degree": 2}))
    work["n6 output_gating convention=mixed"] = (three_valued, ())
    work |= {f"sound {name} {c}": (sound, (name, 5, {"convention": c})) for name, c in SAMPLED}
    work["sound polynomial_threshold degree=3"] = (sound, ("polynomial_threshold", 5, {"degree": 3}))
    work |= {f"searched {convention}": (searched, (convention,)) for convention in ("01", "pm")}
    for convention in ("pm", "mixed"):
        for inputs, samples in ((3, 4000), (4, 2000), (5, 1000), (6, 400 if convention == "pm" else 60)):
            work[f"estimate n{inputs} {convention}"] = (estimated, (convention, inputs, samples))
        work |= {f"coverage n{inputs} {convention}": (covered, (convention, inputs)) for inputs in (4, 5)}
    return work


def stored(path: Path) -> dict[str, Any]:
    """Results in the file."""
    return json.loads(path.read_text())["results"] if path.exists() else {}


def keep(path: Path, name: str, found: dict[str, Any]) -> dict[str, Any]:
    """Store one more result beside those that are in the file now: another run may have written since this one began. What a
    result was made by stands in it, as it may be another command on another day; above stands what makes all of them."""
    made = {
        "command": command(),
        "date": str(datetime.date.today()),
        "load": machine()["load"],
        "numpy": versions()["numpy"],
    }
    done = stored(path) | {name: found | made}
    content = {"command": "python benchmarks/capacity.py", "machine": machine(), "versions": versions(), "results": done}
    path.parent.mkdir(exist_ok=True)
    path.with_suffix(".part").write_text(json.dumps(content, indent=1) + "\n")
    path.with_suffix(".part").replace(path)
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only",
        default="",
        help="beginnings of names, commas between: n4, n5, sound, estimate, coverage, searched, products",
    )
    parser.add_argument("--again", action="store_true", help="count again what is in the file")
    asked = parser.parse_args()
    path = RESULTS / "capacity.json"
    done = stored(path)
    for name, (function, arguments) in jobs().items():
        if (name in done and not asked.again) or not name.startswith(tuple(asked.only.split(","))):
            continue
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            found = pool.apply(function, arguments)
        done = keep(path, name, found)
        print(
            name,
            {
                k: done[name][k]
                for k in ("count", "seconds", "cpu_seconds", "megabytes", "outside", "changed_outside", "estimate")
                if k in done[name]
            },
            flush=True,
        )
    if wrong := [name for name, found in done.items() if found.get("outside") or found.get("differ")]:
        sys.exit(f"Not as the sets say: {', '.join(wrong)}.")


if __name__ == "__main__":
    main()
