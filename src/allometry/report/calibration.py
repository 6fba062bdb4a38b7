"""What studies with a known answer said: how often equal things were told apart, and how often a planted effect was found."""

from collections.abc import Sequence
from typing import Any

from scipy import stats

from allometry.report.grid import Column, Grid, cell
from allometry.report.numbers import estimate, number, percent

LEVEL = 0.9  # of the intervals of the shares


def judged(kind: str, number: int, times: float, answer: dict[str, Any]) -> dict[str, Any]:
    """What one study said of the family (first) and its copy (second), as one row.

    `times` is what the copy is billed: 1 for equal ones. `multiplier` is the compute that the copy needs, over the family's, at
    the largest budget; an end is None where it leaves the range that was run, and the interval is open on that side.
    """
    pair = answer["pairs"][0]
    overall, at = pair["overall"], pair["budgets"][-1]
    value, low, high = (_turned(at[key]) for key in ("multiplier", "multiplier_high", "multiplier_low"))
    return {
        "kind": kind,
        "number": number,
        "true_multiplier": times,
        "verdict": overall["verdict"],
        "right": overall["verdict"] == (None if times == 1 else pair["a"]),
        "reason": overall["reason"],
        "ln_difference": overall["ln_difference"],
        "low": overall["low"],
        "high": overall["high"],
        "detectable_ln": pair["detectable_ln"],
        "multiplier": value,
        "multiplier_low": low,
        "multiplier_high": high,
        "holds_truth": (low is None or low <= times) and (high is None or times <= high),
        "bounded": low is not None and high is not None,
        "winners_in_regions": sum(region["winner"] is not None for region in answer["regions"]["flops"]),
    }


def _turned(multiplier: float | None) -> float | None:
    """Of the copy over the family, where the answer has the family over the copy."""
    return None if multiplier is None else 1 / multiplier


def summary(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One line for each kind of study: how many were judged rightly, and how many intervals hold the truth."""
    found = []
    for kind in dict.fromkeys(row["kind"] for row in rows):
        some = [row for row in rows if row["kind"] == kind]
        right = sum(row["right"] for row in some)
        holding = sum(row["holds_truth"] for row in some)
        both = sum(row["right"] and row["holds_truth"] for row in some)
        low, high = share_interval(right, len(some))
        found.append(
            {"kind": kind, "true_multiplier": some[0]["true_multiplier"], "studies": len(some), "right": right}
            | {"right_low": low, "right_high": high, "interval_holds_truth": holding, "right_and_holds": both}
            | {"bounded": sum(row["bounded"] for row in some)}
        )
    return found


def share_interval(count: int, total: int, level: float = LEVEL) -> tuple[float, float]:
    """The exact interval of a share (Clopper and Pearson 1934)."""
    tail = (1 - level) / 2
    low = float(stats.beta.ppf(tail, count, total - count + 1)) if count else 0.0
    high = float(stats.beta.ppf(1 - tail, count + 1, total - count)) if count < total else 1.0
    return low, high


def summary_table(rows: Sequence[dict[str, Any]]) -> Grid:
    """What was planted, and what was found."""
    lines = [
        (
            cell("two equal families" if line["true_multiplier"] == 1 else f"a copy billed {line['true_multiplier']:g}x"),
            cell("cannot tell" if line["true_multiplier"] == 1 else "the copy is worse"),
            cell(f"{line['right']} of {line['studies']}"),
            cell(
                *estimate(
                    *(100 * share for share in (line["right"] / line["studies"], line["right_low"], line["right_high"]))
                )
            ),
            cell(f"{line['interval_holds_truth']} of {line['studies']}", f"({line['bounded']} with both ends)"),
        )
        for line in summary(rows)
    ]
    columns = (
        Column(name="planted", text=True),
        Column(name="right answer", text=True),
        Column(name="found"),
        Column(name="share", unit="%", tip=f"with its exact interval at {LEVEL:.0%}"),
        Column(name="interval of the multiplier holds the truth"),
    )
    return Grid(title="What the instrument can see", columns=columns, rows=tuple(lines), empty="No study has ended.")


def _ends(low: float | None, high: float | None) -> str:
    return f"[{'open' if low is None else number(low, 3)}, {'open' if high is None else number(high, 3)}]"


def studies_table(rows: Sequence[dict[str, Any]]) -> Grid:
    """Each study."""
    lines = [
        (
            cell(f"{row['kind']} {row['number']}"),
            cell(row["verdict"] or "cannot tell", tip=row["reason"] or "", tone="" if row["right"] else "loud"),
            cell(*estimate(*(percent(row[key]) for key in ("ln_difference", "low", "high")), 2, sign=True)),
            cell(number(percent(row["detectable_ln"]), 2)),
            cell(number(row["multiplier"], 3), _ends(row["multiplier_low"], row["multiplier_high"])),
        )
        for row in rows
    ]
    columns = (
        Column(name="study", text=True),
        Column(name="verdict", text=True),
        Column(name="loss of the family against its copy", unit="%"),
        Column(name="smallest detectable", unit="%"),
        Column(name="compute the copy needs", unit="×"),
    )
    return Grid(title="Studies", columns=columns, rows=tuple(lines), empty="No study has ended.")
