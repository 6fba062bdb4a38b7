"""What happens out of sight is named: memory that others write by address, other libraries, numbers that Python reads."""

import ctypes
from collections.abc import Callable
from typing import Any

import pytest
import torch
from called import Calls
from torch import Tensor, nn

import allometry as al

UNWRITTEN = "memory that no operation was seen to write"


def moved(out: Tensor, *given: Tensor) -> Tensor:
    """The product of what is given, as a kernel in another language writes it: by address, and by no operation of torch."""
    to, *of = (
        (ctypes.c_float * one.numel()).from_address(one.untyped_storage().data_ptr() + 4 * one.storage_offset())
        for one in (out, *given)
    )
    for place in range(len(to)):
        to[place] = 1.0
        for factor in of:
            to[place] *= factor[place]
    return out


class Foreign(nn.Module):
    """A kernel, and where it takes its memory from."""

    def __init__(self, memory: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.memory = memory

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return moved(self.memory(x), x, y)


class Gated(nn.Module):
    """x + h(l(x) sin x)."""

    def __init__(self, kernel: nn.Module) -> None:
        super().__init__()
        self.into, self.kernel, self.out = nn.Linear(3, 3), kernel, nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.out(self.kernel(self.into(x), x.sin()))


def named(function: Callable[..., Any], *given: Tensor) -> list[tuple[str, str]]:
    return [(one.op, one.reason) for one in al.census(Calls(function), given or (torch.randn(2, 3),)).not_counted]


MEMORY: dict[str, Callable[[Tensor], Tensor]] = {
    "empty_like": torch.empty_like,
    "empty": lambda x: torch.empty(2, 3),
    "new_empty": lambda x: x.new_empty(2, 3),
    "empty_strided": lambda x: torch.empty_strided((2, 3), (3, 1)),
    "zeros": lambda x: torch.zeros(2, 3),
    "ones_like": torch.ones_like,
    "full": lambda x: torch.full((2, 3), 0.5),
    "zero": lambda x: torch.empty(2, 3).zero_(),
}


@pytest.mark.parametrize("memory", MEMORY)
def test_what_another_language_writes_is_named_and_a_signal(memory: str) -> None:
    found = al.census(Gated(Foreign(MEMORY[memory])), torch.randn(2, 3))
    (one,) = found.not_counted
    assert (one.op, one.module, one.reason, one.times) == (memory, "kernel", UNWRITTEN, 1)
    assert not found.complete
    assert found.unknown == (one,)
    assert (found.total["additive"], found.total["static_mults"]) == (
        6,
        2 * 9,
    )  # of the way that is seen: out, and the residual


def test_an_output_is_read_too() -> None:
    found = al.census(Foreign(torch.empty_like), (torch.randn(2, 3), torch.randn(2, 3)))
    assert [one.reason for one in found.not_counted] == [UNWRITTEN]


@pytest.mark.parametrize("memory", ["empty", "zeros"])
def test_numbers_are_followed_one_by_one(memory: str) -> None:
    """Of a buffer of which an operation wrote the first row, and somebody else the second."""

    def rows(x: Tensor) -> tuple[Tensor, Tensor]:
        buffer = getattr(torch, memory)(2, 3)
        buffer[0] = x[0]
        moved(buffer[1], x[1])
        return buffer[0] * x[1], buffer[1] * x[0]

    assert named(lambda x: rows(x)[0]) == []
    assert named(lambda x: rows(x)[1]) == [(memory, UNWRITTEN)]


def test_what_an_operation_wrote_beside_it_still_counts() -> None:
    def rows(x: Tensor) -> Tensor:
        buffer = torch.empty(2, 3)
        buffer[0] = x[0] * x[1]
        moved(buffer[1], x[1])
        return buffer[1].sin() + buffer[0]

    found = al.census(Calls(rows), torch.randn(2, 3))
    assert (found.total["gating_ops"], found.total["additive"], found.complete) == (3, 3, False)


ORDINARY: dict[str, Callable[[Tensor], Any]] = {
    "copied": lambda x: torch.empty_like(x).copy_(x) * x,
    "filled": lambda x: torch.empty(2, 3).fill_(-torch.inf).triu_(1) + x,
    "noise": lambda x: torch.empty_like(x).exponential_().log() * x,
    "by a view": lambda x: (out := torch.empty(6)).view(2, 3).t().copy_(x.t()).sum() + out.sum() + x,
    "out": lambda x: torch.mul(x, x, out=torch.empty(0)) + x,
    "by an index": lambda x: torch.empty(2, 3).index_put_((torch.tensor([0, 1]),), x) + x,
    "row by row": lambda x: [out := torch.empty_like(x), out[0].copy_(x[1]), out[1].copy_(x[0]), out * x][-1],
    "times 0": lambda x: torch.baddbmm(torch.empty(1, 2, 2), x[None], x.T[None], beta=0) + 1,
    "constants": lambda x: (
        (torch.zeros(2, 3) + torch.ones(2, 3).mul_(0.5)) * x + torch.full((3,), torch.nan).nan_to_num() * x
    ),
    "added to": lambda x: torch.zeros_like(x).index_add_(0, torch.tensor([0, 1]), x) * x,
    "shapes alone": lambda x: torch.zeros_like(torch.empty(2, 3)) + x,
    "as other bits": lambda x: torch.empty(3, dtype=torch.int32).fill_(7).view(torch.float32) * x,
    "unread": lambda x: [torch.empty(2, 3), x.sin()][-1],
    "dropped": lambda x: nn.functional.gumbel_softmax(x) * x,
    "turned": lambda x: torch.empty(3, 2).t_().copy_(x) * x,
}


@pytest.mark.parametrize("way", ORDINARY)
def test_what_operations_write_is_not_suspected(way: str) -> None:
    assert named(ORDINARY[way]) == []


def test_every_way_through_dlpack_is_named() -> None:
    away, back = torch.utils.dlpack.to_dlpack, torch.utils.dlpack.from_dlpack
    assert ("to_dlpack", "no rule") in named(lambda x: torch.utils.dlpack.from_dlpack(torch.utils.dlpack.to_dlpack(x)) * x)
    assert ("__dlpack__", "no rule") in named(lambda x: torch.from_dlpack(x) * x)
    assert named(lambda x: back(away(x)) * x) == [("from_dlpack", UNWRITTEN)]  # a function imported before is not seen
    assert torch.utils.dlpack.to_dlpack is away
    assert torch.equal(back(away(torch.ones(3))), torch.ones(3))


def test_an_address_that_is_asked_for_is_named() -> None:
    assert named(lambda x: x * x.data_ptr()) == [("data_ptr", "no rule")]
    assert named(lambda x: x * torch.ones(3).data_ptr()) == []


READ: dict[str, tuple[Callable[[Tensor], Any], bool]] = {
    "item": (lambda x: x * x.sum().item(), False),
    "float": (lambda x: x * float(x.sum()), False),
    "tolist": (lambda x: x * torch.tensor(x.tolist()), False),
    "a truth value": (lambda x: x * 2 if (x > 0).any() else x, True),
    "an index": (lambda x: x[int(x.sum(1).argmax())] * 2, True),
    "whole numbers": (lambda x: x[(x > 0).sum(1).clamp(max=1).tolist()] * 2, True),
    "equal": (lambda x: x * 2 if torch.equal(x, x) else x, True),
}


@pytest.mark.parametrize("what", READ)
def test_a_number_that_python_reads_may_multiply_and_a_choice_does_not(what: str) -> None:
    function, complete = READ[what]
    found = al.census(Calls(function), torch.randn(2, 3))
    assert found.complete == complete
    assert ("a choice in Python" if complete else "read into Python") in {one.reason for one in found.not_counted}
