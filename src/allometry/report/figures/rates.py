"""Loss against learning rate, per family: a line for each size and budget that was tuned, with the rate that was chosen."""

from typing import Any

from allometry.report.figures._figure import LABELLED, Figure, Trace, axis, ends, layout, log_range, points, safe, shade
from allometry.report.numbers import number, scientific
from allometry.report.palette import Mark


def rate_figures(answer: dict[str, Any], marks: dict[str, Mark]) -> list[Figure]:
    """One figure per family that was tuned."""
    figures = []
    for family in answer.get("rates") or []:
        cells = [_known(cell) for cell in family.get("cells") or [] if cell.get("budget")]
        cells = [cell for cell in cells if any(p.get("loss") for p in cell["points"])]
        if not cells:
            continue
        mark = marks[family["family"]]
        budgets = sorted({cell["budget"] for cell in cells})
        losses = [p["loss"] for cell in cells for p in cell["points"] if p.get("loss")]
        top = max(losses)
        traces: list[Trace] = []
        for cell in cells:
            traces += _cell(cell, mark, shade(budgets.index(cell["budget"]), len(budgets)), top)
        edges = sum(not cell.get("interior") for cell in cells)
        flagged = f"{edges} of {len(cells)} chosen rates lie at the edge of the rates tried (open)."
        figures.append(
            Figure(
                id=f"rates-{mark.index}",
                title=family["family"],
                caption=flagged if edges else f"{len(cells)} chosen rates, all inside the rates tried.",
                layout=layout(
                    axis("Learning rate"), axis("Loss (bits per byte)") | log_range([*losses, 1.01 * top]), **LABELLED
                ),
                traces=traces,
                height="short",
            )
        )
    return figures


def _known(cell: dict[str, Any]) -> dict[str, Any]:
    return cell | {"points": [point for point in cell.get("points") or [] if point.get("rate")]}


def _cell(cell: dict[str, Any], mark: Mark, opacity: float, top: float) -> list[Trace]:
    place = f"size {safe(cell.get('size'))} at {scientific(cell['budget'])}"
    done = sorted((p for p in cell["points"] if p.get("loss")), key=lambda p: p["rate"])
    lost = [p for p in cell["points"] if not p.get("loss")]
    dots = points(
        [p["rate"] for p in done],
        [p["loss"] for p in done],
        [f"<b>{place}</b><br>rate {number(p['rate'], 2)}<br>{number(p['loss'], 4)} bits per byte" for p in done],
        {"color": mark.colour, "symbol": mark.symbol, "size": 6},
    )
    dots |= {"mode": "lines+markers", "line": {"color": mark.colour, "width": 1.8}, "opacity": opacity}
    traces = [dots, ends(dots["x"], dots["y"], scientific(cell["budget"]))]
    if lost:
        words = [f"<b>{place}</b><br>rate {number(p['rate'], 2)}: {safe(p.get('status'))}" for p in lost]
        marker = {"color": mark.colour, "symbol": "x", "size": 9}
        traces.append(points([p["rate"] for p in lost], [top * 1.01] * len(lost), words, marker))
    if cell.get("best") and done:
        traces.append(_best(cell, mark, place, min(p["loss"] for p in done)))
    return traces


def _best(cell: dict[str, Any], mark: Mark, place: str, level: float) -> Trace:
    best, inside = cell["best"], cell.get("interior")
    edge = {"color": "@ink", "width": 1.4} if inside else {"color": mark.colour, "width": 2}
    marker = {"color": mark.colour if inside else "@page", "symbol": mark.symbol, "size": 11, "line": edge}
    words = f"<b>{place}</b><br>chosen rate {number(best, 2)}" + ("" if inside else "<br>at the edge of the rates tried")
    trace = points([best], [level], [words], marker)
    if cell.get("low") and cell.get("high"):
        trace["error_x"] = {
            "type": "data",
            "symmetric": False,
            "array": [max(0.0, cell["high"] - best)],
            "arrayminus": [max(0.0, best - cell["low"])],
            "color": mark.colour,
            "thickness": 1.4,
        }
    return trace
