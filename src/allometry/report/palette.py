"""One colour, one marker and one dash per family, the same in every figure and table; and the colours of the two themes.

The colours are those of Okabe & Ito (2008), which people with any common colour blindness can tell apart. Yellow and black
are left out: one vanishes on white, the other on the dark page. Beyond six families a colour comes again, with another
marker.
"""

import dataclasses
from collections.abc import Iterable, Sequence

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "pentagon", "hexagon")
DASHES = ("solid", "dash", "dot")

# Parts of a model are no families, so they have paler colours of their own (Tol's light scheme).
PART_COLOURS = ("#77AADD", "#EE8866", "#EEDD88", "#FFAABB", "#44BB99", "#99DDFF", "#BBCC33", "#AAAA00", "#BBBBBB")

# What stands in an order and is no family: from small to large.
ORDERED = ("#5A63D8", "#9A4BB8", "#D4537E", "#E07B39", "#B98A12")

# The page writes these as CSS variables and the figures use them as `@ink` and so on, which the script fills in.
LIGHT = {
    "page": "#ffffff",
    "raised": "#f5f6f7",
    "ink": "#1b1f24",
    "soft": "#545d68",
    "rule": "#d6dae0",
    "grid": "#e6e9ed",
    "link": "#0a5fa8",
    "loud": "#fff4dc",
    "louder": "#a15c00",
    "good": "#00704a",
    "bad": "#b3261e",
}
DARK = {
    "page": "#14171b",
    "raised": "#1d2127",
    "ink": "#e8eaed",
    "soft": "#a6aeb9",
    "rule": "#3a414b",
    "grid": "#2a3038",
    "link": "#79bbff",
    "loud": "#33290f",
    "louder": "#f2bd5a",
    "good": "#5fd3a6",
    "bad": "#ff9189",
}

# The outlines of the markers in a square of -1 to 1, as plotly draws them, for the legends in HTML.
OUTLINES = {
    "square": "-.8,-.8 .8,-.8 .8,.8 -.8,.8",
    "diamond": "0,-1.1 1.1,0 0,1.1 -1.1,0",
    "triangle-up": "0,-1 1,.8 -1,.8",
    "triangle-down": "0,1 1,-.8 -1,-.8",
    "pentagon": "0,-1 .95,-.31 .59,.81 -.59,.81 -.95,-.31",
    "hexagon": "0,-1 .87,-.5 .87,.5 0,1 -.87,.5 -.87,-.5",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mark:
    """How one family is drawn."""

    index: int  # place among the families
    name: str
    colour: str
    symbol: str
    dash: str
    outline: str  # points of a polygon; empty for a circle


def marks(families: Iterable[str]) -> dict[str, Mark]:
    """Give every family its mark. The same order gives the same marks.

    >>> marks(["transformer", "lstm"])["lstm"].symbol
    'square'
    """
    found: dict[str, Mark] = {}
    for name in dict.fromkeys(families):
        index = len(found)
        symbol = SYMBOLS[index % len(SYMBOLS)]
        found[name] = Mark(
            index=index,
            name=name,
            colour=COLOURS[index % len(COLOURS)],
            symbol=symbol,
            dash=DASHES[index // len(COLOURS) % len(DASHES)],
            outline=OUTLINES.get(symbol, ""),
        )
    return found


def ordered_marks(names: Sequence[str]) -> dict[str, Mark]:
    """Marks of names in their order, whose colours go from one end of `ORDERED` to the other.

    >>> [mark.colour == ORDERED[i] for i, mark in zip((0, 4), ordered_marks(["16 nodes", "32 nodes"]).values())]
    [True, True]
    """
    last, step = len(ORDERED) - 1, max(1, len(names) - 1)
    colours = [ORDERED[round(i * last / step)] for i in range(len(names))]
    return {
        name: dataclasses.replace(mark, colour=colour, dash="solid")
        for (name, mark), colour in zip(marks(names).items(), colours, strict=True)
    }


def faded(colour: str, opacity: float) -> str:
    """The colour as `rgba(...)`, for bands."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"
