"""What the answer says, as tables: each function reads the answer document and returns one `Grid`."""

from typing import Any

from allometry.report.grid import Cell, Column, Grid, cell, family_cell
from allometry.report.numbers import MISSING, duration, estimate, number, percent, plain, probability, scientific, storage

CANNOT_TELL = "cannot tell"
AXES = {  # axis of cost -> (its name, its unit)
    "flops": ("training compute", "FLOPs"),
    "flops_non_embedding": ("training compute without embedding and output", "FLOPs"),
    "parameters": ("active non-embedding parameters", "parameters"),
    "parameters_all": ("all parameters", "parameters"),
    "seconds": ("measured training time", "seconds"),
    "memory": ("peak memory", "bytes"),
}
_FAMILY = Column(name="family", text=True)
_DIGITS = 4  # of a loss in bits per byte


def answer_lines(answer: dict[str, Any]) -> list[str]:
    """The answer in three lines: who wins and how surely, by how much, what to distrust."""
    lines = [str(line) for line in answer.get("headline") or []][:3]
    return lines or ["No answer yet: no family has finished runs enough to be compared."]


def budget_unit(answer: dict[str, Any]) -> str:
    """What a budget counts: FLOPs, or tokens where every size saw the same tokens."""
    return "tokens" if answer.get("protocol") == "fixed-tokens" else "FLOPs"


def level_text(answer: dict[str, Any]) -> str:
    """The level of the intervals, as in `90 %`."""
    return f"{100 * (answer.get('level') or 0.9):.0f} %"


def cost_text(axis: str, cost: float | None) -> str:
    """A cost in the words of its axis: seconds as a time, memory as bytes, the rest as powers of ten."""
    return {"seconds": duration, "memory": storage}.get(axis, scientific)(cost)


def pairs_table(answer: dict[str, Any]) -> Grid:
    """Every two families over all budgets: difference of loss, compute multiplier at the largest budget, verdict."""
    rows = []
    for pair in plain(answer.get("pairs") or []):
        overall, largest = pair.get("overall") or {}, (pair.get("budgets") or [{}])[-1]
        rows.append(
            (
                family_cell(pair["a"]),
                family_cell(pair["b"]),
                _difference(overall),
                _multiplier(largest),
                _verdict(overall.get("verdict"), overall.get("reason")),
                cell(_unsigned_percent(pair.get("detectable_ln"))),
            )
        )
    columns = (
        Column(name="a", text=True),
        Column(name="b", text=True),
        Column(name="loss of a against b", unit="%", tip="over all budgets; below zero, a is better"),
        Column(
            name="compute a needs",
            unit="× that of b",
            tip="to reach the loss of b at the largest budget; below 1, a is better",
        ),
        Column(name="better", text=True),
        Column(name="smallest detectable", unit="%", tip="a smaller difference could not have been seen in this study"),
    )
    return Grid(title="Pairs", columns=columns, rows=tuple(rows), empty="There are no two families to compare.")


def budgets_table(answer: dict[str, Any]) -> Grid:
    """The pairs at each budget."""
    rows = [
        (
            family_cell(pair["a"]),
            family_cell(pair["b"]),
            cell(scientific(at.get("budget"))),
            _difference(at),
            _multiplier(at),
        )
        for pair in plain(answer.get("pairs") or [])
        for at in pair.get("budgets") or []
    ]
    columns = (
        Column(name="a", text=True),
        Column(name="b", text=True),
        Column(name="budget", unit=budget_unit(answer)),
        Column(name="loss of a against b", unit="%"),
        Column(name="compute a needs", unit="× that of b"),
    )
    return Grid(
        title="Pairs at each budget", columns=columns, rows=tuple(rows), empty="There are no two families to compare."
    )


def winners_table(answer: dict[str, Any], axis: str = "flops") -> Grid:
    """Who has the lowest loss in each region of a cost axis, with the probability of every family."""
    families = [str(name) for name in answer.get("families") or []]
    rows = [
        (
            cell(cost_text(axis, region.get("low_cost"))),
            cell(cost_text(axis, region.get("high_cost"))),
            _verdict(region.get("winner"), region.get("reason")),
            *(
                cell(
                    probability((region.get("probability") or {}).get(name)),
                    why="not compared in this region",
                    tone="strong" if region.get("winner") == name else "",
                )
                for name in families
            ),
        )
        for region in plain((answer.get("regions") or {}).get(axis) or [])
    ]
    name, unit = AXES[axis]
    unit = "" if axis in ("seconds", "memory") else unit  # there each number has its own
    columns = (
        Column(name="from", unit=unit),
        Column(name="to", unit=unit),
        Column(name="winner", text=True),
        *(Column(name=family, unit="probability") for family in families),
    )
    return Grid(title=f"Winners by {name}", columns=columns, rows=tuple(rows), empty="No region could be compared.")


def frontier_table(answer: dict[str, Any]) -> Grid:
    """The best loss of each family at each budget, and the size that reaches it."""
    rows = []
    for at in plain(answer.get("frontier") or []):
        tokens, size = at.get("D"), at.get("N")
        inside = "" if at.get("interior") else "the best size is the smallest or the largest that was run"
        rows.append(
            (
                family_cell(at["family"]),
                cell(scientific(at.get("budget"))),
                cell(*_interval(at, "loss")),
                cell(scientific(size), _counts(at.get("N_low"), at.get("N_high"))),
                cell(scientific(tokens)),
                cell(number(tokens / size, 2) if tokens and size else MISSING),
                cell("yes" if not inside else "at the edge", tip=inside, tone="loud" if inside else ""),
            )
        )
    columns = (
        _FAMILY,
        Column(name="budget", unit=budget_unit(answer)),
        Column(name="best loss", unit="bits per byte"),
        Column(name="best size N", unit="parameters", tip="active, without embedding and output", brief=True),
        Column(name="D", unit="tokens"),
        Column(name="D / N", tip="tokens per parameter", page_only=True),
        Column(name="optimum inside", text=True),
    )
    return Grid(
        title="Compute-optimal frontier", columns=columns, rows=tuple(rows), empty="No family has a measured optimum."
    )


def crossovers_table(answer: dict[str, Any]) -> Grid:
    """Where two families change places."""
    rows = [
        (
            family_cell(at["a"]),
            family_cell(at["b"]),
            cell(AXES.get(at.get("axis", ""), (str(at.get("axis")),))[0]),
            cell(
                cost_text(str(at.get("axis")), at.get("cost")), _counts(at.get("low"), at.get("high"), str(at.get("axis")))
            ),
            family_cell(str(at.get("better_below") or MISSING)),
            family_cell(str(at.get("better_above") or MISSING)),
            cell(probability(at.get("probability"))),
        )
        for at in plain(answer.get("crossovers") or [])
    ]
    columns = (
        Column(name="a", text=True),
        Column(name="b", text=True),
        Column(name="axis", text=True),
        Column(name="crossover"),
        Column(name="better below", text=True),
        Column(name="better above", text=True),
        Column(name="probability"),
    )
    return Grid(
        title="Crossovers", columns=columns, rows=tuple(rows), empty="No two families change places in the range run."
    )


def laws_table(answer: dict[str, Any]) -> Grid:
    """The law of each family with the intervals of its parameters."""
    return fits_table(answer.get("laws") or [])


def fits_table(fits: list[dict[str, Any]], flags: bool = True) -> Grid:
    """Fitted laws: one row per law, one column per parameter. The entries are those of `laws` in the answer document.

    Without `flags` where the page lists findings elsewhere.
    """
    fits = plain(fits)
    units: dict[str, str] = {}
    for fit in fits:
        for name, parameter in (fit.get("parameters") or {}).items():
            units.setdefault(name, parameter.get("unit") or "")
    rows = []
    for fit in fits:
        values = fit.get("parameters") or {}
        rows.append(
            (
                family_cell(str(fit.get("family", MISSING))),
                cell(str(fit.get("law", MISSING)), tip=fit.get("equation") or ""),
                *(_parameter(values.get(name)) for name in units),
                cell(number(fit.get("objective"), 3)),
                *([cell("; ".join(fit.get("flags") or []), tone="loud")] if flags else []),
            )
        )
    columns = (
        _FAMILY,
        Column(name="law", text=True),
        *(Column(name=name, unit=unit) for name, unit in units.items()),
        Column(name="objective", page_only=True, tip="of the fit; lower is better, within one law"),
        *([Column(name="flags", text=True)] if flags else []),
    )
    return Grid(title="Laws", columns=columns, rows=tuple(rows), empty="There were too few budgets to fit a law.")


def slopes_table(answer: dict[str, Any]) -> Grid:
    """How fast the loss falls with compute, over the range that was run."""
    rows = [(family_cell(at["family"]), cell(*_interval(at, "slope", 3))) for at in plain(answer.get("slopes") or [])]
    columns = (_FAMILY, Column(name="slope", unit="−d ln loss / d ln FLOPs"))
    return Grid(title="Slopes over the range run", columns=columns, rows=tuple(rows), empty="One budget has no slope.")


def matched_slopes_table(answer: dict[str, Any]) -> Grid:
    """Slopes of two families where both have the same loss: the fair comparison of exponents."""
    rows = [
        (
            family_cell(at["a"]),
            family_cell(at["b"]),
            cell(number(at.get("loss"), _DIGITS), why=at.get("reason")),
            cell(number(at.get("slope_a"), 3), why=at.get("reason")),
            cell(number(at.get("slope_b"), 3), why=at.get("reason")),
            cell(*estimate(at.get("difference"), at.get("low"), at.get("high"), 2, sign=True), why=at.get("reason")),
            _verdict(at.get("verdict"), at.get("reason")),
        )
        for at in plain(answer.get("matched_slopes") or [])
    ]
    columns = (
        Column(name="a", text=True),
        Column(name="b", text=True),
        Column(name="at loss", unit="bits per byte"),
        Column(name="slope of a"),
        Column(name="slope of b"),
        Column(name="a minus b"),
        Column(name="steeper", text=True),
    )
    return Grid(title="Slopes at matched loss", columns=columns, rows=tuple(rows), empty="No two families share a loss.")


def holdout_table(answer: dict[str, Any]) -> Grid:
    """How well the smaller budgets predicted the largest one."""
    rows = [
        (
            family_cell(at["family"]),
            cell(str(at.get("law", MISSING))),
            cell(scientific(at.get("budget"))),
            cell(*_interval(at, "predicted")),
            cell(number(at.get("measured"), _DIGITS)),
            cell(estimate(percent(at.get("ln_error")), None, None, 2, sign=True)[0]),
            cell(number(at.get("compute_equivalent"), 3), why="the law never reaches the measured loss"),
        )
        for at in plain(answer.get("holdout") or [])
    ]
    columns = (
        _FAMILY,
        Column(name="law", text=True),
        Column(name="largest budget", unit=budget_unit(answer), page_only=True),
        Column(name="predicted", unit="bits per byte"),
        Column(name="measured", unit="bits per byte"),
        Column(name="error", unit="%"),
        Column(
            name="error in compute", unit="×", tip="the compute at which the law says what was measured, over the true one"
        ),
    )
    return Grid(title="Hold-out", columns=columns, rows=tuple(rows), empty="Too few budgets to leave the largest out.")


def rates_table(answer: dict[str, Any]) -> Grid:
    """The learning rates that were chosen, with their doubt."""
    rows = []
    for family in plain(answer.get("rates") or []):
        for at in family.get("cells") or []:
            edge = "" if at.get("interior") else "no rate on its other side was better tried: widen the rates"
            rows.append(
                (
                    family_cell(family["family"]),
                    cell(scientific(at.get("budget"))),
                    cell(str(at.get("size", MISSING))),
                    cell(number(at.get("best"), 2), _rates(at.get("low"), at.get("high"))),
                    cell("at the edge" if edge else "yes", tip=edge, tone="loud" if edge else ""),
                    cell(str(len(at.get("points") or []))),
                )
            )
    columns = (
        _FAMILY,
        Column(name="budget", unit=budget_unit(answer)),
        Column(name="size"),
        Column(name="best rate"),
        Column(name="optimum inside", text=True),
        Column(name="runs"),
    )
    return Grid(title="Learning rates", columns=columns, rows=tuple(rows), empty="Learning rates were given, not tuned.")


def target_table(answer: dict[str, Any]) -> Grid:
    """What to train at the budget that was asked for."""
    target = plain(answer.get("target") or {})
    rows = [
        (
            Cell(text=at["family"], family=at["family"], tone="strong" if at["family"] == target.get("winner") else ""),
            cell(scientific(at.get("N")), why=at.get("reason")),
            cell(scientific(at.get("D")), why=at.get("reason")),
            cell(number(at.get("rate"), 2), why=at.get("reason")),
            cell(*_interval(at, "loss"), why=at.get("reason")),
            cell(at.get("reason") or "", tone="loud"),
        )
        for at in target.get("choices") or []
    ]
    columns = (
        _FAMILY,
        Column(name="N", unit="parameters"),
        Column(name="D", unit="tokens"),
        Column(name="learning rate"),
        Column(name="expected loss", unit="bits per byte"),
        Column(name="why not", text=True),
    )
    title = f"What to train with {scientific(target.get('flops'))} FLOPs"
    return Grid(title=title, columns=columns, rows=tuple(rows), empty=target.get("reason") or "No budget was asked for.")


def _difference(at: dict[str, Any]) -> Cell:
    low, high, value = (percent(at.get(key)) for key in ("low", "high", "ln_difference"))
    return cell(*estimate(value, low, high, 2, sign=True), why=at.get("reason"))


def _multiplier(at: dict[str, Any]) -> Cell:
    value = at.get("multiplier")
    if value is None:
        why = at.get("reason") or "the other's loss lies outside the range that was run"
        return cell(MISSING, why=why)
    return cell(*estimate(value, at.get("multiplier_low"), at.get("multiplier_high"), 3))


def _verdict(winner: str | None, reason: str | None) -> Cell:
    if winner:
        return Cell(text=winner, family=winner, tone="strong", tip=reason or "")
    return Cell(text=CANNOT_TELL, tone="soft", tip=reason or "")


def _parameter(value: dict[str, Any] | None) -> Cell:
    if value is None:
        return cell(MISSING, why="this law has no such parameter")
    return cell(*estimate(value.get("value"), value.get("low"), value.get("high"), 3))


def _interval(at: dict[str, Any], key: str, digits: int = _DIGITS) -> tuple[str, str]:
    return estimate(at.get(key), at.get("low"), at.get("high"), digits)


def _counts(low: float | None, high: float | None, axis: str = "parameters") -> str:
    return "" if low is None or high is None else f"[{cost_text(axis, low)}, {cost_text(axis, high)}]"


def _rates(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"[{number(low, 2)}, {number(high, 2)}]"


def _unsigned_percent(ln_difference: float | None) -> str:
    return number(percent(ln_difference), 2)
