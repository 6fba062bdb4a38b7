"""The tables of docs/capacity.md are what benchmarks/results/capacity.json keeps, and no row stands there without a record."""

import importlib
import json
import math
import re
from pathlib import Path
from typing import Any

from allometry.capacity.count import SAMPLES, circuit
from allometry.capacity.threshold_functions import PUBLISHED

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "capacity.md").read_text()
FILE: dict[str, Any] = json.loads((ROOT / "benchmarks" / "results" / "capacity.json").read_text())
RESULTS: dict[str, Any] = FILE["results"]
OPTIONS = ("convention", "gates", "synapse", "degree", "bias", "domain", "units")
SLOWEST = 10.0  # seconds of the processor for a count of one output of four inputs


def table(head: str) -> list[str]:
    """Rows below the head of the table that begins so."""
    lines = PAGE.splitlines()
    begin = next(i for i, line in enumerate(lines) if line.startswith(head)) + 2
    end = next((i for i in range(begin, len(lines)) if not lines[i].startswith("|")), len(lines))
    return lines[begin:end]


def label(words: list[str]) -> str:
    """`name`, then its options, as the page writes them."""
    pairs = [word.split("=") for word in words[1:]]
    said = [value if name in ("convention", "synapse") else f"{name} {value}" for name, value in pairs]
    return f"`{words[0]}` {', '.join(said)}".strip()


def test_counts() -> None:
    counted: dict[str, dict[int, Any]] = {}
    for name, found in RESULTS.items():
        if (match := re.match(r"n([1-5]) (.*)", name)) is not None:
            counted.setdefault(label(match[2].split()), {})[int(match[1])] = found
    rows = table("| circuit | n = 1 |")
    assert len(rows) == len(counted)
    for row in rows:
        title, *cells = [cell.strip() for cell in row.strip("|").split("|")]
        found = counted[title]
        assert cells[:5] == [f"{found[n]['count']:,}" if n in found else "" for n in range(1, 6)]
        if 5 not in found:
            assert cells[5:] == ["", ""]
            continue
        seconds, megabytes = found[5]["cpu_seconds"], found[5]["megabytes"]
        ratio = math.log2(found[5]["count"]) / math.log2(94572)
        assert cells[5:] == [f"{ratio:.3f}", f"{seconds:.0f}, {megabytes}"]


def counts() -> list[dict[str, Any]]:
    return [found for found in RESULTS.values() if "count" in found]


def test_counts_of_four_inputs_take_seconds() -> None:
    four = [found for found in counts() if found["inputs"] == 4]
    assert len(four) > 30
    assert all(found["cpu_seconds"] < SLOWEST for found in four)


def test_stored_bounds_are_those_of_today() -> None:
    for found in counts():
        built = circuit(found["circuit"], **{key: found[key] for key in found if key in ("inputs", *OPTIONS)})
        assert (found["lower"], found["upper"], found["published"]) == (built.lower(), built.upper(), built.published)
        assert found["lower"] <= found["count"] <= found["upper"]
        for key in ("leading", "leading_at_most"):
            value = getattr(built, key)
            assert found[key] == (None if value is None else list(value)), found


def test_a_record_says_what_it_was_made_by() -> None:
    """Above stands what makes all of them: a part of them is run on another day, by another command."""
    assert FILE["command"] == "python benchmarks/capacity.py"
    for name, found in RESULTS.items():
        if "count" in found or name.startswith("estimate n6"):
            assert found["command"].startswith("python benchmarks/capacity.py --")
            assert {"date", "load", "numpy"} <= set(found)


def test_six_inputs_and_layers() -> None:
    found = RESULTS["n6 output_gating convention=mixed"]
    assert f"{found['count']:,}" in PAGE
    for count in found["shared_gate"].values():
        assert f"{count:,}" in PAGE
    assert RESULTS["estimate n6 pm"]["samples"] == SAMPLES


def test_sparse_quadratics() -> None:
    """One product: what random weights found is a lower bound, of all quadratic functions."""
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in table("| n | functions")]
    for n, row in zip((4, 5), rows, strict=True):
        every = RESULTS[f"n{n} linear_plus_products gates=2"]["count"]
        assert every == RESULTS[f"n{n} polynomial_threshold"]["count"]
        found = RESULTS[f"products n{n}"]["found"]
        assert found <= every
        built = [circuit("linear_plus_products", n, gates=k).parameters for k in (0, 1, 2)]
        own = circuit("polynomial_threshold", n).parameters
        one = f"{every:,}" if n == 4 else f"at least {found:,}"
        assert row == [
            str(n),
            *[
                f"{c}, {p}"
                for c, p in zip((f"{PUBLISHED[n]:,}", one, f"{every:,}", f"{every:,}"), (*built, own), strict=True)
            ],
        ]


def test_estimates() -> None:
    expected = []
    for name, found in RESULTS.items():
        if name.startswith("estimate"):
            off = f"{found['standard_errors_off']:.1f}" if "exact" in found else ""
            exact = f"{found['exact']:,}" if "exact" in found else "unknown"
            bits = found["standard_error"] / found["estimate"] / math.log(2)
            expected.append(
                f"| `output_gating` {found['convention']} | {found['inputs']} | {found['samples']} | {found['estimate']:.3g} | "
                f"2^{math.log2(found['estimate']):.2f} ± {bits:.2g} | {exact} | {off} |"
            )
    assert sorted(table("| circuit | n | draws |")) == sorted(expected)


def test_coverage() -> None:
    expected = []
    for name, found in RESULTS.items():
        if name.startswith("coverage"):
            for draws in (60, 400):
                part = found[f"{draws} draws"]
                shares = " | ".join(f"{100 * part[key]:.1f}" for key in ("plain", "bits", "below", "above"))
                expected.append(f"| `output_gating` {found['convention']} | {found['inputs']} | {draws} | {shares} |")
    assert sorted(table("| circuit | n | draws of one")) == sorted(expected)


def test_soundness() -> None:
    expected = {}
    for name, found in RESULTS.items():
        if name.startswith("sound"):
            said = f"degree {found['degree']}" if "degree" in found else found["convention"]
            expected[f"`{found['circuit']}` {said}"] = [f"{found[key]:,}" for key in ("drawn", "outside", "changed_outside")]
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in table("| circuit | drawn |")]
    assert {re.split(r" \(|, ", row[0])[0]: row[1:] for row in rows} == expected
    searched = {f"`output_gating` {c}": RESULTS[f"searched {c}"] for c in ("01", "pm")}
    assert table("| membership of 2,000") == [f"| {k} | {v['inside']} | {v['differ']} |" for k, v in searched.items()]


def test_two_runs_of_the_benchmark_keep_each_others_results(tmp_path: Path, monkeypatch) -> None:
    """One begins, another one stores a result, and the first stores its own."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    benchmark = importlib.import_module("capacity")
    path, jobs = tmp_path / "capacity.json", {"first": (_one, ()), "second": (_one, ())}
    monkeypatch.setattr(benchmark, "RESULTS", tmp_path)
    monkeypatch.setattr(benchmark, "jobs", lambda: jobs)
    monkeypatch.setattr(benchmark.multiprocessing, "get_context", lambda kind: _Elsewhere(benchmark, path))
    monkeypatch.setattr("sys.argv", ["capacity.py", "--only", "first"])
    benchmark.main()
    assert set(benchmark.stored(path)) == {"first", "of another run"}


def _one() -> dict[str, int]:
    return {"count": 1}


class _Elsewhere:
    """A pool in this process, while whose job runs another run stores something."""

    def __init__(self, benchmark: Any, path: Path) -> None:
        self.benchmark, self.path = benchmark, path

    def Pool(self, processes: int) -> "_Elsewhere":  # noqa: N802
        return self

    def __enter__(self) -> "_Elsewhere":
        return self

    def __exit__(self, *_: object) -> None: ...

    def apply(self, function: Any, arguments: tuple) -> Any:
        self.benchmark.keep(self.path, "of another run", {})
        return function(*arguments)


def test_how_far_the_leading_term_is_off() -> None:
    ratios = [n**2 / math.log2(PUBLISHED[n]) for n in range(4, 10)]
    assert f"is {min(ratios):.2f} to {max(ratios):.2f} there" in PAGE
