"""Memory that torch gives and no operation is seen to fill: who reads it reads what came from elsewhere.

Kernels in other languages take their results from `empty` or `zeros` and write them by address, which no trace of operations sees.
So a number is followed from the call that gives its memory to the first operation that writes it. If it is read before, then
something unseen wrote it; of memory that began as one number everywhere, if it is read and is another number.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

from allometry.probe._census.marks import Node

UNWRITTEN = "memory that no operation was seen to write"


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


EMPTY = _names("empty empty_like empty_strided empty_permuted empty_quantized new_empty new_empty_strided")
FILLED = _names("zeros zeros_like new_zeros ones ones_like new_ones full full_like new_full")
REFILLS = _names("zero fill")
# What was there before is gone, or stays where nothing is put.
OVERWRITES = REFILLS | _names(
    "copy normal uniform random bernoulli exponential geometric log_normal cauchy _foreach_copy _foreach_zero index_put "
    "_index_put_impl scatter index_copy index_fill masked_fill masked_scatter put fill_diagonal"
)
ADDS = _names("addmm baddbmm addbmm addmv addr")  # of 0 times what is there, that is not read
SHAPES = _names("_unsafe_view t transpose squeeze unsqueeze swapaxes swapdims as_strided resize set_ detach")


@dataclasses.dataclass(eq=False)
class _Piece:
    """One piece of memory, from the call that gave it to the last of its numbers that is written."""

    alive: StorageWeakRef  # while it is held, no other memory has the same address
    node: Node  # what its numbers are, if nobody seen wrote them
    number: int
    value: Tensor | None  # that all began as; None: nobody knows
    left: Tensor | None = None  # which numbers are not written; None: all

    def region(self, tensor: Tensor) -> Tensor | None:
        """Of a tensor's numbers, those not written. None: the memory is seen as another type."""
        if self.left is None:
            self.left = torch.ones(self.number, dtype=torch.bool)
        return self.left.as_strided(tensor.shape, tensor.stride(), tensor.storage_offset()) if self.fits(tensor) else None

    def fits(self, tensor: Tensor) -> bool:
        return _number(tensor) == self.number


class Unwritten:
    """All such memory."""

    def __init__(self) -> None:
        self._pieces: dict[int, _Piece] = {}

    def found(self, tensors: list[Tensor]) -> Iterator[tuple[Tensor, Node]]:
        """Those that hold, as they are read now, what nobody was seen to write. They are told once."""
        for tensor in tensors if self._pieces else ():
            piece = self._piece(tensor)
            if piece is not None and tensor.numel() and _foreign(piece, tensor):
                self._write(tensor, piece)
                yield tensor, piece.node

    def reads(self, func: Any, name: str, args: tuple[Any, ...], kwargs: Any, operands: list[Tensor]) -> list[Tensor]:
        """The operands whose numbers a call reads."""
        if not self._pieces or name in EMPTY | FILLED | SHAPES or _view(func):
            return []
        if name in OVERWRITES and _in_place(func):
            first = args[0] if isinstance(args[0], list | tuple) else [args[0]]
            return [one for one in operands if not any(one is over for over in first)]
        if name in ADDS and kwargs.get("beta", 1) == 0:
            return [one for one in operands if one is not args[0]]
        returns = any("Tensor" in str(one.type) for one in func._schema.returns)
        return operands if returns or name in ("_local_scalar_dense", "equal", "is_nonzero", "item") else []

    def after(self, func: Any, name: str, outs: list[Tensor], written: list[Tensor], path: str) -> None:
        """What a call gave, and what it wrote."""
        if name in EMPTY or name in FILLED:
            for one in outs:
                self.gives(one, name, path, filled=name in FILLED)
        if not self._pieces or name in SHAPES:
            return
        for one in written:
            piece = self._piece(one)
            if piece is None:
                continue
            self._write(one, piece)
            if name in REFILLS and one.numel() == piece.number and piece.fits(one):
                self.gives(one, name, path, filled=True)

    def gives(self, tensor: Tensor, name: str, path: str, filled: bool = False) -> None:
        """From now on a tensor's memory is followed."""
        reference = _reference(tensor)
        if reference is None or (filled and (tensor.device.type == "meta" or not tensor.numel())):
            return
        value = tensor.as_strided((1,), (1,), tensor.storage_offset()).clone() if filled else None
        if value is None or bool(value == value):  # not a number is unlike itself
            node = Node([], notes=[(UNWRITTEN, name, path)])
            self._pieces[reference.cdata] = _Piece(reference, node, _number(tensor), value)

    def _piece(self, tensor: Tensor) -> _Piece | None:
        reference = _reference(tensor)
        return None if reference is None else self._pieces.get(reference.cdata)

    def _write(self, tensor: Tensor, piece: _Piece) -> None:
        region = None if tensor.numel() >= piece.number else piece.region(tensor)
        if region is None:
            del self._pieces[piece.alive.cdata]
        else:
            region.fill_(False)


def _foreign(piece: _Piece, tensor: Tensor) -> bool:
    if piece.value is None:
        region = None if piece.left is None else piece.region(tensor)
        return piece.left is None or (region is not None and bool(region.any()))
    if tensor.dtype != piece.value.dtype or tensor.is_conj() or tensor.is_neg():  # seen as other numbers
        return False
    other = tensor != piece.value
    region = None if piece.left is None else piece.region(tensor)
    return bool(other.any() if region is None else (other & region.to(other.device)).any())


def _number(tensor: Tensor) -> int:
    return tensor.untyped_storage().nbytes() // max(1, tensor.element_size())


def _reference(tensor: Tensor) -> StorageWeakRef | None:
    try:
        return StorageWeakRef(tensor.untyped_storage())
    except (NotImplementedError, RuntimeError):  # sparse and other tensors without one piece of memory
        return None


def _in_place(func: Any) -> bool:
    first = func._schema.arguments[0].alias_info
    return first is not None and first.is_write


def _view(func: Any) -> bool:
    """Whether it gives its operand's own memory."""
    return any(one.alias_info is not None and not one.alias_info.is_write for one in func._schema.returns)
