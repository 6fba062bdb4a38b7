"""What became of the predictions in architectures.py.

python studies/judge_architectures.py allometry-studies/architectures [--json verdicts.json]
"""

import argparse
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from allometry.report.gather import bundle

SLOPE_MARGIN, GAP_MARGIN = 0.05, 0.01
BELOW, ABOVE = 0.5, 0.8  # rank correlations


def half(row: dict[str, Any]) -> float:
    return (row["high"] - row["low"]) / 2


def difference(found: dict[str, Any], a: str, b: str) -> tuple[float, float, str] | None:
    """Slope of a less that of b, as a share of b's; half its interval; in words. None: one of them has no slope."""
    slopes = {row["family"]: row for row in found["answer"]["slopes"]}
    if not {a, b} <= set(slopes) or slopes[a]["slope"] is None or not slopes[b]["slope"]:
        return None
    of_b = slopes[b]["slope"]
    apart, wide = (slopes[a]["slope"] - of_b) / of_b, math.hypot(half(slopes[a]), half(slopes[b])) / abs(of_b)
    return apart, wide, f"{a} {slopes[a]['slope']:.4f}, {b} {of_b:.4f}: {100 * apart:+.1f} +- {100 * wide:.1f} %"


def slower(found: dict[str, Any], a: str, b: str) -> tuple[str, str]:
    """Prediction 1: confirmed by more than the margin, with the interval below 0; refuted with the interval above 0."""
    seen = difference(found, a, b)
    if seen is None:
        return "cannot tell", f"no slope of {a} or {b}"
    apart, wide, text = seen
    if apart + wide < 0 and apart < -SLOPE_MARGIN:
        return "confirmed", text
    return ("refuted" if apart - wide > 0 else "cannot tell"), text


def largest(found: dict[str, Any], a: str) -> tuple[str, str]:
    """Prediction 2: refuted by one family that is larger by more than the margin; confirmed if every other is smaller so."""
    others = [row["family"] for row in found["answer"]["slopes"] if row["family"] != a]
    seen = [one for b in others if (one := difference(found, b, a)) is not None]
    larger = [text for apart, wide, text in seen if apart - wide > 0 and apart > SLOPE_MARGIN]
    if larger:
        return "refuted", "; ".join(larger)
    smaller = sum(apart + wide < 0 and apart < -SLOPE_MARGIN for apart, wide, _ in seen)
    text = f"{smaller} of {len(others)} are smaller beyond doubt, none larger"
    return ("confirmed" if others and smaller == len(others) else "cannot tell"), text


def gap(found: dict[str, Any], a: str, b: str) -> dict[float, tuple[float, float]]:
    """ln loss of a over b at each budget, and half its interval."""
    result = {}
    for pair in found["answer"]["pairs"]:
        if {pair["a"], pair["b"]} == {a, b}:
            sign = 1 if pair["a"] == a else -1
            for at in pair["budgets"]:
                if at["ln_difference"] is not None:
                    result[at["budget"]] = sign * at["ln_difference"], half(at)
    return result


def widening(found: dict[str, Any], families: list[str], than: str) -> tuple[str, str]:
    texts, below, above = [], [], []
    for family in families:
        gaps = gap(found, family, than)
        if len(gaps) < 2:
            return "cannot tell", f"{family} and {than} do not meet at two budgets"
        (first, near), (last, far) = gaps[min(gaps)], gaps[max(gaps)]
        change, wide = last - first, math.hypot(near, far)
        texts.append(
            f"{family}: gap {100 * first:+.1f} % to {100 * last:+.1f} %, change {100 * change:+.1f} +- {100 * wide:.1f}"
        )
        above.append(change - wide > 0 and change > GAP_MARGIN)
        below.append(change + wide < 0)
    return ("confirmed" if all(above) else "refuted" if all(below) else "cannot tell"), "; ".join(texts)


def regions(found: dict[str, Any]) -> tuple[str, str]:
    rows = found["answer"]["regions"].get("flops") or []
    if not rows:
        return "cannot tell", "no region could be compared"
    first, last = rows[0], rows[-1]
    names = [row["winner"] or "cannot tell" for row in (first, last)]
    text = f"from {first['low_cost']:.2g} FLOPs on: {names[0]}; up to {last['high_cost']:.2g}: {names[1]}"
    if not first["winner"] or not last["winner"]:
        return "cannot tell", text
    return ("confirmed" if first["winner"] != last["winner"] else "refuted"), text


def transfer(found: dict[str, Any]) -> tuple[str, str]:
    """Prediction 5, of each family's size with the lowest loss at the largest budget.

    The interval (90 %) redraws every accuracy within its own interval, over seeds and texts; the verdict needs all of it.
    """
    tuned = [row for row in found["downstream"] if row["family"]]
    if not tuned:
        return "cannot tell", "nothing was fine-tuned"
    top = max(row["budget"] for row in tuned)
    losses: dict[tuple[str, int], list[float]] = {}
    for run in found["runs"]:
        if run["stage"] == "score" and run["budget"] == top and run["status"] == "done":
            losses.setdefault((run["family"], run["size"]), []).append(run["loss"])
    pairs = []
    for family in sorted({family for family, _ in losses}):
        loss, size = min((sum(some) / len(some), size) for (one, size), some in losses.items() if one == family)
        own = [row for row in tuned if (row["family"], row["size"], row["budget"]) == (family, size, top)]
        pairs += [(-loss, row["accuracy"], half(row) / stats.norm.ppf(0.95)) for row in own]
    if len(pairs) < 5:
        return "cannot tell", f"{len(pairs)} families"
    quality, accuracy, error = np.array(pairs).T
    draws = np.random.default_rng(0).normal(accuracy, error, (2000, len(pairs)))
    low, high = np.quantile([stats.spearmanr(quality, draw).statistic for draw in draws], [0.05, 0.95])
    seen = stats.spearmanr(quality, accuracy).statistic
    text = f"rank correlation {seen:.2f} [{low:.2f}, {high:.2f}] over {len(pairs)} families at {top:.2g} FLOPs"
    return ("confirmed" if high < BELOW else "refuted" if low > ABOVE else "cannot tell"), text


PREDICTIONS: dict[str, Callable[[dict[str, Any]], tuple[str, str]]] = {
    "1 performer has the smaller slope": lambda found: slower(found, "performer", "transformer"),
    "2 the transformer has the largest slope": lambda found: largest(found, "transformer"),
    "3 sharing loses more at larger compute": lambda found: widening(
        found, ["albert", "universal_transformer"], "transformer"
    ),
    "4 the best family changes with compute": regions,
    "5 upstream does not tell downstream": transfer,
}
JUDGED = {"causal": tuple(PREDICTIONS), "span": tuple(PREDICTIONS)[:4], "downstream": tuple(PREDICTIONS)[4:]}


def judge(folder: Path) -> dict[str, Any]:
    """What became of the predictions, for each part that was run."""
    parts = {part: bundle(folder / part) for part in JUDGED if (folder / part / "plan.json").exists()}
    return {part: {name: PREDICTIONS[name](found) for name in JUDGED[part]} for part, found in parts.items()}


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("folder", type=Path)
    words.add_argument("--json", type=Path)
    asked = words.parse_args()
    verdicts = judge(asked.folder)
    for part, found in verdicts.items():
        print(part)
        for name, (verdict, text) in found.items():
            print(f"  {name}: {verdict} ({text})")
    if asked.json:
        asked.json.write_text(json.dumps(verdicts, indent=1) + "\n")


if __name__ == "__main__":
    main()
