"""Which tensors depend on the input, and what is known of each: the marks that a census follows from operation to operation.

A tensor without a mark is static: a parameter, a buffer or a constant. Tensors share memory, so dependence is kept for each number
of a piece of memory too: a tensor that was written through another name is known to depend, and has a new root.
"""

import dataclasses
from collections.abc import Hashable
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils.weak import WeakIdKeyDictionary

# What a tensor is to a product that it enters: the higher of two is a dynamic synapse.
PLAIN = 0
PRODUCT = 1  # a sum of products of two signals: scores, a state of keys and values
OUTER = 2  # every product of the numbers of two signals: fast weights
NORMALISED = 3  # weights of a softmax

OUTPUT, SYNAPTIC, ADDITIVE, SHAPING, STATIC = "output gating", "synaptic gating", "additive", "shaping", "static"


@dataclasses.dataclass(eq=False)
class Entry:
    """Operations of one kind that one call made."""

    path: str  # of the module
    op: str
    quark: str  # one of the five above
    operations: int  # scalar multiplications, or sums where additive
    signals: int = 0  # distinct attending scalars, where gating
    root: int = 0  # of the attending signals
    kept: Fraction = Fraction(1)  # share of the operations that no mask makes a product with 0
    masks_signals: bool = False  # whether a mask leaves out signals too
    otherwise: "Mark | None" = None  # the other operand, which is a dynamic synapse if the products are summed


@dataclasses.dataclass(eq=False)
class Node:
    """One call: what it was given, and what it counts. Only nodes on the way to the output count."""

    parents: list["Node"]
    place: int = 0  # in the order of calls
    entries: list[Entry] = dataclasses.field(default_factory=list)
    notes: list[tuple[str, str, str]] = dataclasses.field(default_factory=list)  # (reason, operation, path): not counted


@dataclasses.dataclass(frozen=True, eq=False)
class Mark:
    """What is known of a tensor that depends on the input."""

    node: Node
    root: int  # the same for tensors that are functions, number by number, of the same numbers
    distinct: int  # scalars in it, repetitions left out
    role: int = PLAIN
    rank: int = 0  # 2: a gate by its range (sigmoid, exp, softmax); 1: within -1 and 1; 0: any
    kept: Fraction = Fraction(1)  # share of its numbers that no mask made 0
    never: bool = False  # or -inf, if so
    scores: tuple[Entry, ...] = ()  # matrix products that it is a sum of: a mask on it is a mask on them
    product: Entry | None = None  # the product, number by number, that it is


@dataclasses.dataclass(eq=False)
class _Memory:
    alive: Any  # a weak reference: while it is held, no other memory has the same address
    writes: int = 0
    node: Node | None = None  # the last that wrote what depends; None: static
    some: Tensor | None = None  # which numbers depend, where not all do

    def write(self, tensor: Tensor, node: Node) -> None:
        """Let the numbers of a tensor depend."""
        number = tensor.untyped_storage().nbytes() // max(1, tensor.element_size())
        if self.node is None and tensor.numel() < number:
            self.some = torch.zeros(number, dtype=torch.bool)
        if self.some is not None:
            if tensor.numel() == number or len(self.some) != number:
                self.some = None  # all; or seen in another type
            else:
                self.some.as_strided(tensor.shape, tensor.stride(), tensor.storage_offset()).fill_(True)
        self.node = node

    def depends(self, tensor: Tensor) -> bool:
        if self.node is None or self.some is None:
            return self.node is not None
        number = tensor.untyped_storage().nbytes() // max(1, tensor.element_size())
        if len(self.some) != number:
            return True
        return bool(self.some.as_strided(tensor.shape, tensor.stride(), tensor.storage_offset()).any())


class Marks:
    """The marks of all tensors."""

    def __init__(self) -> None:
        self._of_tensor = WeakIdKeyDictionary()
        self._memory: dict[int, _Memory] = {}
        self._roots: dict[Hashable, int] = {}

    def root(self, key: Hashable = None) -> int:
        """The root of that name; without a name a new one."""
        return self._roots.setdefault(object() if key is None else key, len(self._roots))

    def get(self, tensor: Tensor) -> Mark | None:
        """Its mark; None: static."""
        memory = self._piece(tensor)
        known = self._of_tensor.get(tensor)
        if known is not None and (memory is None or known[0] == memory.writes):
            return known[1]  # type: ignore[no-any-return]
        if memory is None or memory.node is None or not memory.depends(tensor):
            return None
        place = (id(memory), memory.writes, tensor.storage_offset(), tuple(tensor.shape), tuple(tensor.stride()))
        mark = Mark(memory.node, self.root(place), tensor.numel())
        self._of_tensor[tensor] = (memory.writes, mark)
        return mark

    def set(self, tensor: Tensor, mark: Mark, written: bool = False) -> None:
        """Give a tensor its mark; `written`: its memory was there before, and other tensors may look at it."""
        memory = self._piece(tensor)
        if memory is not None and not (written or memory.node is None):  # a view
            if not memory.depends(tensor):
                return
        elif memory is not None:
            memory.writes += written
            memory.write(tensor, mark.node)
        self._of_tensor[tensor] = (0 if memory is None else memory.writes, mark)

    def before(self, tensor: Tensor) -> Node | None:
        """The last call that wrote to its memory."""
        memory = self._piece(tensor)
        return None if memory is None else memory.node

    def _piece(self, tensor: Tensor) -> _Memory | None:
        try:
            reference = StorageWeakRef(tensor.untyped_storage())
        except (NotImplementedError, RuntimeError):  # sparse and other tensors without one piece of memory
            return None
        return self._memory.setdefault(reference.cdata, _Memory(reference))
