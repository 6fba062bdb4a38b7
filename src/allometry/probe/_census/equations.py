"""Operations of two signals that are put together from simpler ones: they count as their equation, written out.

The numbers are the operation's own. Only the counts and the mark are the equation's, so that it may be as short as a paper has it:
a power is exp(y log x), an angle the arc tangent of a quotient, a comparison a threshold unit of a difference, a conjunction the
product of two signals in {0, 1}.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from allometry.probe._census.marks import SHAPING, Mark
from allometry.probe._census.pointwise import pointwise
from allometry.probe._census.trace import UNKNOWN, Call


def by_equation(call: Call) -> Mark:
    return _counted(call, EQUATIONS[call.op])


def of_two(call: Call) -> Mark:
    """By its equation where both sides are signals; with a constant it is a fixed function, or a mask."""
    left, right = call.args[:2]
    if call.mark(left) is None or call.mark(right) is None:
        return pointwise(call)
    if call.op in BITS and call.first.dtype != torch.bool:  # many products in one number
        call.note(UNKNOWN)
        return call.new(call.first.numel())
    return by_equation(call)


def power(call: Call) -> Mark:
    """x^k is x times itself for whole k, or one over that. Other constants, if they are many, multiply log x; signals gate it."""
    exponent = call.args[1]
    if call.mark(exponent) is not None:
        return by_equation(call)
    exponent = _number(exponent)
    if exponent.device.type == "meta" or exponent.is_complex() or not _whole(exponent):
        return pointwise(call) if exponent.numel() == 1 else by_equation(call)
    times = (exponent.abs() - 1).clamp(min=0).expand(call.first.shape)
    call.add(SHAPING, int(times.sum()))
    return pointwise(call)


def _whole(x: Tensor) -> bool:
    return bool((x.isfinite() & (x == x.round())).all())


def _counted(call: Call, equation: Callable[[Any, Any], Tensor]) -> Mark:
    with call.trace:
        told = equation(*call.args[:2])
    mark = call.trace.marks.get(told)
    assert mark is not None, "what is made of signals depends on them"
    call.node.parents.append(mark.node)
    return mark


def _exp2(x: Any) -> Tensor:
    return torch.exp2(_number(x))


def _log(x: Any) -> Tensor:
    return torch.log(_number(x))


def _number(x: Any) -> Tensor:
    """A whole number or a truth value as a real one."""
    x = torch.as_tensor(x)
    return x if x.is_floating_point() or x.is_complex() else x.to(torch.get_default_dtype())


def _truth(x: Any) -> Tensor:
    return _number(torch.as_tensor(x) != 0)


def _difference(x: Any, y: Any) -> Tensor:
    return _number(x) - _number(y)


def _rest(x: Any, y: Any, whole: Callable[[Tensor], Tensor]) -> Tensor:
    return _number(x) - _number(y) * whole(_number(x) / _number(y))


def _both(x: Any, y: Any) -> Tensor:
    return _truth(x) * _truth(y)


def _either(x: Any, y: Any) -> Tensor:
    return 1 - (1 - _truth(x)) * (1 - _truth(y))


def _one(x: Any, y: Any) -> Tensor:
    """In {-1, +1} a product."""
    return (1 - 2 * _truth(x)) * (1 - 2 * _truth(y))


# With constants too: a tensor of constants multiplies.
ARITHMETIC: dict[str, Callable[[Any, Any], Tensor]] = {
    "pow": lambda x, y: torch.exp(_number(y) * _log(x)),
    "atan2": lambda y, x: torch.atan(_number(y) / _number(x)),
    "hypot": lambda x, y: torch.sqrt(x * x + y * y),
    "fmod": lambda x, y: _rest(x, y, torch.trunc),
    "remainder": lambda x, y: _rest(x, y, torch.floor),
    "floor_divide": lambda x, y: torch.floor(_number(x) / _number(y)),
    "logaddexp": lambda x, y: torch.log(torch.exp(x) + torch.exp(y)),
    "logaddexp2": lambda x, y: torch.log2(torch.exp2(x) + torch.exp2(y)),
    "copysign": lambda x, y: torch.abs(_number(x)) * torch.sign(_number(y)),
    "xlogy": lambda x, y: _number(x) * _log(y),
    "special_xlog1py": lambda x, y: _number(x) * torch.log1p(_number(y)),
}
BITS: dict[str, Callable[[Any, Any], Tensor]] = {
    "bitwise_and": _both, "__and__": _both, "bitwise_or": _either, "__or__": _either, "bitwise_xor": _one, "__xor__": _one,
}  # fmt: skip
TRUTHS: dict[str, Callable[[Any, Any], Tensor]] = {
    "logical_and": _both, "logical_or": _either, "logical_xor": _one,
    **dict.fromkeys(("eq", "ne", "lt", "le", "gt", "ge"), lambda x, y: _difference(x, y) > 0),
    **dict.fromkeys(("bitwise_left_shift", "__lshift__"), lambda x, y: _number(x) * _exp2(y)),
    **dict.fromkeys(("bitwise_right_shift", "__rshift__"), lambda x, y: torch.floor(_number(x) * _exp2(-y))),
}  # fmt: skip
EQUATIONS = ARITHMETIC | BITS | TRUTHS
