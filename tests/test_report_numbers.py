"""Numbers for people: what is written is the number that was meant, and nothing is ever `nan`."""

import itertools
import json
import math
import random
from pathlib import Path

import numpy
import pytest

from allometry.report.numbers import MISSING, estimate, number, plain, scientific
from allometry.report.palette import DARK, LIGHT, marks
from allometry.report.strips import strip

_DIGITS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹−", "-0123456789-")


def parse(text: str) -> float:
    """Read a number back as a person would."""
    mantissa, _, power = text.partition("×")
    if not power and mantissa.startswith("10") and not mantissa.isascii():
        mantissa, power = "1", mantissa
    return float(mantissa.translate(_DIGITS)) * 10.0 ** float(power.removeprefix("10").translate(_DIGITS) or 0)


@pytest.mark.parametrize("write", [number, scientific])
@pytest.mark.parametrize("digits", [2, 3, 4])
def test_a_written_number_is_the_number_to_its_digits(write, digits):
    chance = random.Random(1)
    for _ in range(300):
        value = chance.choice([-1, 1]) * 10 ** chance.uniform(-9, 18)
        assert parse(write(value, digits)) == pytest.approx(value, rel=0.5001 * 10 ** (1 - digits))


@pytest.mark.parametrize("value", [9.9996, 99996.0, 0.00099996, 9.9996e11, 1.0, 1e12])
def test_rounding_up_to_a_power_of_ten_keeps_the_value(value):
    assert parse(number(value, 4)) == pytest.approx(value, rel=1e-4)
    assert parse(scientific(value, 4)) == pytest.approx(value, rel=1e-4)


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_a_dash(value):
    assert number(value) == scientific(value) == estimate(value, 1.0, 2.0)[0] == MISSING


def test_an_interval_has_the_decimals_of_its_estimate():
    chance = random.Random(2)
    for _ in range(200):
        value = chance.uniform(-5, 5)
        width = 10 ** chance.uniform(-2, 1)
        text, aside = estimate(value, value - width, value + width, 3)
        low, high = aside.strip("[]").split(", ")
        assert len({len(part.partition(".")[2]) for part in (text, low, high)}) == 1
        assert parse(low) == pytest.approx(value - width, abs=0.006 * max(1, abs(value) + width))
        assert parse(high) == pytest.approx(value + width, abs=0.006 * max(1, abs(value) + width))


def test_plain_makes_json_of_anything():
    odd = {"a": numpy.float32("nan"), "b": numpy.arange(3), "c": (numpy.int64(4), math.inf), "d": Path("x"), 5: True}
    text = json.dumps(plain(odd), allow_nan=False)
    assert json.loads(text) == {"a": None, "b": [0, 1, 2], "c": [4, None], "d": "x", "5": True}


def test_forty_families_have_marks_of_their_own():
    found = marks(f"family {i}" for i in range(40))
    assert len({(mark.colour, mark.symbol, mark.dash) for mark in found.values()}) == 40
    assert (
        len({mark.symbol for mark in list(found.values())[:6]})
        == len({mark.colour for mark in list(found.values())[:6]})
        == 6
    )


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.1)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("text", ["ink", "soft", "link", "good", "bad"])
@pytest.mark.parametrize("ground", ["page", "raised", "loud"])
def test_text_is_readable_in_both_themes(theme, text, ground):
    light, dark = sorted([luminance(theme[text]), luminance(theme[ground])], reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5  # WCAG AA


def test_a_strip_is_as_wide_as_its_regions_are_on_a_log_scale():
    shares = {"a": 0.25, "b": 0.75}
    edges = [1e3, 1e4, 1e6, 1.2e6, 1e8]
    regions = [
        {"low_cost": low, "high_cost": high, "probability": shares, "winner": None, "reason": None}
        for low, high in itertools.pairwise(edges)
    ]
    band = strip({"regions": {"flops": regions}}, "flops")
    widths = [segment["width"] for segment in band["segments"]]
    assert sum(widths) == pytest.approx(100, abs=0.01)
    assert widths[1] == pytest.approx(2 * widths[0], abs=0.01)  # two decades and one
    assert all(sum(share for _, share in segment["parts"]) == pytest.approx(100) for segment in band["segments"])
    places = [place for place, _ in band["ticks"]]
    assert places[0] == 0
    assert places[-1] == pytest.approx(100)
    assert min(b - a for a, b in itertools.pairwise(places)) > 15  # percent of a phone's width
