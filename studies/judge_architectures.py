"""What became of the predictions in architectures.py.

python studies/judge_architectures.py allometry-studies/architectures [--json verdicts.json]
"""

import argparse
import json
import math
from pathlib import Path
from typing import Any

from scipy import stats

from allometry.report.gather import bundle

SLOPE_MARGIN, GAP_MARGIN = 0.05, 0.01
BELOW, ABOVE = 0.5, 0.8  # rank correlations


def half(row: dict[str, Any]) -> float:
    return (row["high"] - row["low"]) / 2


def slower(found: dict[str, Any], a: str, b: str) -> tuple[str, str]:
    """Is the slope of a smaller than that of b, by the margin and beyond its interval?"""
    slopes = {row["family"]: row for row in found["answer"]["slopes"]}
    if not {a, b} <= set(slopes) or slopes[a]["slope"] is None or slopes[b]["slope"] is None:
        return "cannot tell", f"no slope of {a} or {b}"
    difference = slopes[a]["slope"] - slopes[b]["slope"]
    wide = math.hypot(half(slopes[a]), half(slopes[b]))
    text = f"{a} {slopes[a]['slope']:.4f}, {b} {slopes[b]['slope']:.4f}: {difference:+.4f} +- {wide:.4f}"
    if difference + wide < 0 and difference < -SLOPE_MARGIN * slopes[b]["slope"]:
        return "confirmed", text
    return ("refuted" if difference - wide > 0 else "cannot tell"), text


def largest(found: dict[str, Any], a: str) -> tuple[str, str]:
    others = [row["family"] for row in found["answer"]["slopes"] if row["family"] != a]
    said = {b: slower(found, b, a) for b in others}
    larger = [text for verdict, text in said.values() if verdict == "refuted"]
    if larger:
        return "refuted", "; ".join(larger)
    if all(verdict == "confirmed" for verdict, _ in said.values()):
        return "confirmed", f"all {len(others)} others are smaller"
    return (
        "cannot tell",
        f"{sum(v == 'confirmed' for v, _ in said.values())} of {len(others)} are smaller beyond doubt, none larger",
    )


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
    tuned = [row for row in found["downstream"] if row["family"]]
    if not tuned:
        return "cannot tell", "nothing was fine-tuned"
    top = max(row["budget"] for row in tuned)
    best = {row["family"]: row["loss"] for row in found["answer"]["frontier"] if row["budget"] == top}
    pairs = []
    for family, loss in best.items():
        own = [row["accuracy"] for row in tuned if row["family"] == family and row["budget"] == top]
        if own and loss is not None:
            pairs.append((-loss, max(own)))
    if len(pairs) < 5:
        return "cannot tell", f"{len(pairs)} families"
    correlation = float(stats.spearmanr(*zip(*pairs, strict=True)).statistic)
    text = f"rank correlation {correlation:.2f} over {len(pairs)} families at {top:.2g} FLOPs"
    return ("confirmed" if correlation < BELOW else "refuted" if correlation > ABOVE else "cannot tell"), text


def judge(folder: Path) -> dict[str, Any]:
    verdicts: dict[str, Any] = {}
    for part in ("causal", "span"):
        if (folder / part / "plan.json").exists():
            found = bundle(folder / part)
            verdicts[part] = {
                "1 performer has the smaller slope": slower(found, "performer", "transformer"),
                "2 the transformer has the largest slope": largest(found, "transformer"),
                "3 sharing loses more at larger compute": widening(
                    found, ["albert", "universal_transformer"], "transformer"
                ),
                "4 the best family changes with compute": regions(found),
                "5 upstream does not tell downstream": transfer(found),
            }
    return verdicts


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
