"""The census of every family at one size, beside the slope that the architecture study measured for it.

    python benchmarks/census_of_families.py             # writes results/census_of_families.json; a minute
    python benchmarks/census_of_families.py --table     # a table of docs/census.md, from that file; also span, graphs

Families that read graphs are counted on one graph of the usual size, for each node; the architecture study did not run them.

Slopes are -d ln loss / d ln FLOPs of the best loss at each budget, from studies/results/architectures, with their draws. The rank
correlation of a count with the slope is over families; its interval is over the draws of the slopes, with these families, and its
p by permutation of the families. Families share parts, so they are fewer independent cases than they are many: this describes the
families that were run, and says nothing of causes.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import _result
import numpy as np
import pandas as pd
from scipy import stats

import allometry as al
from allometry.find import names
from allometry.fit import differences
from allometry.fit.differences import interval
from allometry.fit.study import measure
from allometry.flow import IO, REFERENCES, Graphs, Pairs, Tokens
from allometry.train.example import example

SIZE = 6
STUDIES = Path(__file__).parents[1] / "studies" / "results" / "architectures"
KINDS: dict[str, type[IO]] = {"causal": Tokens, "span": Pairs, "graphs": Graphs}
COUNTS = ("gate_signals", "gating_ops", "unmasked_gating_ops", "gated_synapses", "additive", "shaping", "static_mults")
AGAINST = ("gate_signals", "gating_ops", "unmasked_gating_ops", "gated_synapses", "gating_share")
PERMUTATIONS = 20_000


def counted(name: str, io: IO) -> dict[str, Any]:
    """Counts for each token or node that is read."""
    family = al.family(name).at(SIZE, type(io))
    found = al.census(family.build(io), example(io, 1)[0])
    per_token = {key: found.total[key] / io.length for key in COUNTS}
    operations = found.total["gating_ops"] + found.total["static_mults"]
    return {"family": name, "parameters": found.total["parameters"], "complete": found.complete} | per_token | {
        "gating_share": found.total["gating_ops"] / operations
    }  # fmt: skip


def slopes(study: str) -> tuple[dict[str, dict[str, float]], dict[str, np.ndarray]]:
    """Of each family of a study, with its 90 % interval; and the draws. None where it was not run."""
    if not (STUDIES / f"{study}.csv").exists():
        return {}, {}
    frontier = measure(pd.read_csv(STUDIES / f"{study}.csv")).frontier
    values, drawn = differences.slopes(frontier)
    low, high = interval(drawn, 0.9)
    found = {
        name: {"slope": float(values[i]), "slope_low": float(low[i]), "slope_high": float(high[i])}
        for i, name in enumerate(frontier.families)
    }
    return found, {name: drawn[:, i] for i, name in enumerate(frontier.families)}


def correlation(rows: list[dict[str, Any]], key: str, draws: dict[str, np.ndarray]) -> dict[str, Any]:
    """Spearman's rank correlation of a count with the slope."""
    known = [row for row in rows if "slope" in row]
    x = np.array([row[key] for row in known])
    value = float(stats.spearmanr(x, [row["slope"] for row in known]).statistic)
    each = np.stack([draws[row["family"]] for row in known], 1)
    drawn = [float(stats.spearmanr(x, one).statistic) for one in each]
    generator, ranks = np.random.default_rng(0), stats.rankdata(x)
    of_slopes = stats.rankdata([row["slope"] for row in known])
    shuffled = np.stack([generator.permutation(ranks) for _ in range(PERMUTATIONS)])
    centred = (shuffled - ranks.mean()) @ (of_slopes - of_slopes.mean()) / (len(known) * ranks.std() * of_slopes.std())
    p = float((np.abs(centred) >= abs(value) - 1e-12).mean())
    low, high = np.quantile(drawn, [0.05, 0.95])
    return {"count": key, "families": len(known), "rank_correlation": value, "low": float(low), "high": float(high), "p": p}


def main() -> None:
    content, figures = {}, []
    for study, kind in KINDS.items():
        io = REFERENCES[kind]
        found, draws = slopes(study)
        rows = [counted(name, io) for name in names("allometry.model.families") if kind in al.family(name).kinds]
        rows = [row | found.get(row["family"], {}) for row in rows]
        tests = [correlation(rows, key, draws) for key in AGAINST if draws]
        content[study] = {"io": io.to_json(), "families": rows, "correlations": tests}
        whole = sum(row["complete"] for row in rows)
        figures.append(
            {"figure": f"{study}: families counted whole", "measured": whole, "unit": f"of {len(rows)}"}
            | {"bar": f"all {len(rows)}", "holds": whole == len(rows)}
        )
        figures += [
            {"figure": f"{study}: rank correlation of {one['count']} with the slope, {one['families']} families",
             "measured": one["rank_correlation"], "unit": f"[{one['low']:.2f}, {one['high']:.2f}], p {one['p']:.2f}"}
            for one in tests
        ]  # fmt: skip
    _result.keep(figures, size=SIZE, studies=content)


def table(study: str) -> str:
    """The rows of a study in Markdown, the steepest first, families without a slope last; no slopes where there are none."""
    content = json.loads((_result.RESULTS / "census_of_families.json").read_text())["studies"][study]
    sloped = any("slope" in row for row in content["families"])
    head = "| family | gate signals | gating | unmasked | gated synapses | additive | static | gating share |"
    lines = [head + " slope [90 %] |" * sloped, "|---|" + "---:|" * 7 + "---|" * sloped]
    for row in sorted(content["families"], key=lambda row: -row.get("slope", -1.0)):
        slope = f"{row['slope']:.3f} [{row['slope_low']:.3f}, {row['slope_high']:.3f}]" if "slope" in row else "not run"
        keys = ("gate_signals", "gating_ops", "unmasked_gating_ops", "gated_synapses", "additive", "static_mults")
        numbers = " | ".join(f"{row[key]:,.0f}" for key in keys)
        lines.append(f"| {row['family']} | {numbers} | {100 * row['gating_share']:.0f} % |" + f" {slope} |" * sloped)
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--table", choices=KINDS, nargs="?", const="causal")
    asked = parser.parse_args().table
    if asked:
        print(table(asked))
    else:
        main()
