"""How numbers are written for people: on the page, in the figures and in the terminal alike.

Powers of ten use superscript letters (1.2×10¹¹), so that one text serves all three. What is missing is a dash, never `nan`.
"""

import math
from typing import Any

MISSING = "–"
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def plain(value: Any) -> Any:
    """Turn numpy scalars and arrays, tuples and paths into plain JSON; what is not finite becomes None.

    >>> plain({"loss": float("nan"), "sizes": (1, 2)})
    {'loss': None, 'sizes': [1, 2]}
    """
    if isinstance(value, float):
        return value + 0.0 if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(item) for item in value]
    return plain(value.tolist()) if hasattr(value, "tolist") else str(value)


def number(value: float | None, digits: int = 3) -> str:
    """A number with so many significant digits.

    >>> number(0.00123456), number(123456789.0, 2), number(-1.5, 2), number(None), number(1234, 2)
    ('0.00123', '1.2×10⁸', '−1.5', '–', '1200')
    """
    if value is None or not math.isfinite(value):
        return MISSING
    if value == 0:
        return "0"
    exponent = _exponent(value, digits)
    if -3 <= exponent < 5:
        return _minus(f"{round(value, digits - 1 - exponent):.{max(0, digits - 1 - exponent)}f}")
    return scientific(value, digits)


def scientific(value: float | None, digits: int = 2) -> str:
    """A cost or a count, always as a power of ten; a mantissa of 1 is left out.

    >>> scientific(3.16e14), scientific(1e12), scientific(None)
    ('3.2×10¹⁴', '10¹²', '–')
    """
    if value is None or not math.isfinite(value):
        return MISSING
    if value == 0:
        return "0"
    exponent = _exponent(value, digits)
    mantissa = f"{value / 10.0**exponent:.{digits - 1}f}"
    power = "10" + str(exponent).translate(_SUPERSCRIPT)
    return power if float(mantissa) == 1 else _minus(f"{mantissa}×{power}")


def brief(value: float | None, digits: int = 4) -> str:
    """A number that was chosen, such as a dose or a bound: as it would be typed.

    >>> brief(10.0), brief(0.25), brief(1e7), brief(None)
    ('10', '0.25', '10⁷', '–')
    """
    text = number(value, digits)
    if "×" in text or "." not in text:
        return scientific(value, 2) if "×" in text else text
    return text.rstrip("0").rstrip(".")


def estimate(
    value: float | None, low: float | None, high: float | None, digits: int = 3, sign: bool = False
) -> tuple[str, str]:
    """A number and its interval, with as many decimals as the largest of the three needs for so many digits.

    >>> estimate(1.25, 1.19876, 1.30001, digits=4), estimate(0.098, -0.401, 0.6, digits=2, sign=True)
    (('1.250', '[1.199, 1.300]'), ('+0.10', '[−0.40, +0.60]'))
    >>> estimate(2e11, None, None), estimate(None, 1.0, 2.0)
    (('2.00×10¹¹', ''), ('–', ''))
    """
    if value is None or not math.isfinite(value):
        return MISSING, ""
    known = low is not None and high is not None
    scale = max(abs(v) for v in (value, low, high) if v is not None) if known else abs(value)
    if scale == 0 or not -4 <= _exponent(scale, digits) < 5:
        return number(value, digits), f"[{number(low, digits)}, {number(high, digits)}]" if known else ""
    form = f"{'+' if sign else ''}.{max(0, digits - 1 - _exponent(scale, digits))}f"
    return _minus(f"{value:{form}}"), _minus(f"[{low:{form}}, {high:{form}}]") if known else ""


def percent(ln_difference: float | None) -> float | None:
    """A difference of logarithms as a relative difference in percent."""
    return None if ln_difference is None else 100 * math.expm1(ln_difference)


def probability(value: float | None) -> str:
    """A share of draws. Draws are finite in number, so that 0 and 1 are never claimed.

    >>> probability(0.934), probability(1.0), probability(0.0)
    ('93 %', '> 99 %', '< 1 %')
    """
    if value is None:
        return MISSING
    if value > 0.99:
        return "> 99 %"
    return "< 1 %" if value < 0.01 else f"{100 * value:.0f} %"


def duration(seconds: float | None) -> str:
    """A time in the units that people use.

    >>> duration(0.0123), duration(42.0), duration(125), duration(7300)
    ('12.3 ms', '42.0 s', '2 min 5 s', '2 h 2 min')
    """
    if seconds is None:
        return MISSING
    if seconds < 1:
        return f"{number(1000 * seconds, 3)} ms" if seconds > 0 else "0 s"
    if seconds < 60:
        return f"{number(seconds, 3)} s"
    if seconds < 3600:
        return f"{round(seconds) // 60} min {round(seconds) % 60} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min"


def storage(size: float | None) -> str:
    """Bytes, in powers of 1024.

    >>> storage(512), storage(3 * 2**20)
    ('512 B', '3.00 MiB')
    """
    if size is None:
        return MISSING
    if size < 1024:
        return f"{size:.0f} B"
    power = min(4, int(math.log2(size)) // 10)
    return f"{number(size / 1024**power, 3)} {('', 'KiB', 'MiB', 'GiB', 'TiB')[power]}"


def _exponent(value: float, digits: int) -> int:
    # By way of the printed form: 9.996 with three digits is 10.0 and has exponent 1.
    return int(f"{abs(value):.{digits - 1}e}".split("e")[1])


def _minus(text: str) -> str:
    return text.replace("-", "−")
