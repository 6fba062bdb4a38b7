"""Run a module once and follow its signals: every operation of torch is seen under whatever made it, and a rule says what it is.

What has no rule is decomposed, where torch knows how, or named as not counted. Only what reaches the output counts.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch._decomp import decomposition_table
from torch._ops import HigherOrderOperator
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from allometry.flow import Refusal
from allometry.probe._census.marks import OUTPUT, Entry, Mark, Marks, Node
from allometry.probe._census.unwritten import UNWRITTEN, Unwritten

UNKNOWN, CHOICE, PYTHON, BRANCH = "no rule", "a choice among signals", "read into Python", "a choice in Python"
FREE = "no signal is seen to reach it"  # of an output
UNSEEN = (UNKNOWN, PYTHON, UNWRITTEN)  # products may be missing


class Call:
    """One call of an operation with a dependent operand, as its rule sees it."""

    def __init__(
        self, trace: "Trace", func: Any, op: str, args: tuple[Any, ...], kwargs: dict[str, Any], marks: dict[int, Mark]
    ) -> None:
        self.trace, self.func, self.op, self.args, self.kwargs, self._marks = trace, func, op, args, kwargs, marks
        parents = list({id(mark.node): mark.node for mark in marks.values()}.values())
        trace.calls += 1
        self.node = Node(parents, trace.calls)
        self.out: Any = None

    @property
    def first(self) -> Tensor:
        """The first tensor that it gives."""
        return tensors(self.out)[0]

    def arg(self, place: int, name: str, default: Any = None) -> Any:
        return self.args[place] if len(self.args) > place else self.kwargs.get(name, default)

    def mark(self, value: Any) -> Mark | None:
        """The mark of an operand; None: it is static, or no tensor."""
        return self._marks.get(id(value)) if isinstance(value, Tensor) else None

    def marks(self) -> list[Mark]:
        return list(self._marks.values())

    def add(self, quark: str, operations: int, **details: Any) -> Entry:
        entry = Entry(self.trace.path, self.op, quark, operations, **details)
        if operations:
            self.node.entries.append(entry)
        return entry

    def gate(self, operations: int, signals: int, root: int | None = None, quark: str = OUTPUT, **details: Any) -> Entry:
        root = self.trace.marks.root() if root is None else root
        return self.add(quark, operations, signals=signals, root=root, **details)

    def new(self, distinct: int, **details: Any) -> Mark:
        """The mark of numbers that are no function, number by number, of others."""
        return Mark(self.node, self.trace.marks.root(), distinct, **details)

    def note(self, reason: str) -> None:
        """Say that something is not counted. What Python reads reaches the output on ways that are not seen."""
        (self.trace.read if reason in (PYTHON, BRANCH) else self.node.notes).append((reason, self.op, self.trace.path))


class Trace(TorchDispatchMode):
    """What happens while it is entered."""

    supports_higher_order_operators = True  # they come here, and are refused by name

    def __init__(self, rules: dict[str, Any]) -> None:
        super().__init__()
        self.rules, self.marks, self.unwritten = rules, Marks(), Unwritten()
        self.stack = [""]
        self.read: list[tuple[str, str, str]] = []  # (reason, operation, path): into Python
        self.calls = 0

    @property
    def path(self) -> str:
        return self.stack[-1]

    def depend(self, value: Any) -> None:
        """Mark the tensors in a value as the input."""
        for tensor in tensors(value):
            self.marks.set(tensor, Mark(Node([]), self.marks.root(), tensor.numel()), written=True)

    def reads(self, given: list[Tensor]) -> None:
        """Mark what is read and came from elsewhere: it may depend on the input."""
        for tensor, node in self.unwritten.found(given):
            before = self.marks.before(tensor)
            node.parents += [before] if before is not None and before is not node else []
            self.marks.set(tensor, Mark(node, self.marks.root(), tensor.numel()), written=True)

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if isinstance(func, HigherOrderOperator):
            raise Refusal(
                f"A census cannot follow {func.name()}, an operator that runs functions itself. Write it in operations of tensors, "
                "or take another form of the model, such as eager attention."
            )
        written, operands = _split(func, args, kwargs)
        name = _name(func)
        self.reads(self.unwritten.reads(func, name, args, kwargs, operands))
        marks = {id(tensor): mark for tensor in operands if (mark := self.marks.get(tensor)) is not None}
        if not marks:
            out = func(*args, **kwargs)
            self.unwritten.after(func, name, tensors(out), written, self.path)
            return out
        rule = self.rules.get(name)
        if rule is None and not written:
            parts = self._decomposed(func, args, kwargs)
            if parts is not NotImplemented:
                return parts
        call = Call(self, func, name, args, kwargs, marks)
        call.node.parents += [node for tensor in written if (node := self.marks.before(tensor)) is not None]
        call.out = func(*args, **kwargs)
        kept = {id(tensor) for tensor in written}
        outs = tensors(call.out)
        self.unwritten.after(func, name, outs, written, self.path)
        for tensor, mark in zip(outs, self._ruled(call, rule, len(outs)), strict=True):
            if mark is not None:
                self.marks.set(tensor, Mark(**(vars(mark) | {"node": call.node})), written=id(tensor) in kept)
        if not outs:  # only what was written
            for tensor in written:
                self.marks.set(tensor, call.new(tensor.numel()), written=True)
        return call.out

    def _decomposed(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What its parts give, each seen. Where they cannot run, the operation itself says whether it can."""
        with self:
            try:
                if func in decomposition_table:
                    return decomposition_table[func](*args, **kwargs)
                return func.decompose(*args, **kwargs)  # as torch's own decompositions call it
            except Exception:  # of the decomposition, or of the operands
                return NotImplemented

    def _ruled(self, call: Call, rule: Any, number: int) -> list[Mark | None]:
        """The marks of what a call gives. A rule that fails is as none: the fault is not the module's."""
        if rule is not None:
            try:
                found = rule(call)
                each = found if isinstance(found, list) else [found] * number
                assert len(each) == number, f"{call.op} gives {number} tensors, and its rule {len(each)} marks"
                return each
            except Exception:  # whatever is wrong with it
                call.node.entries.clear()
                call.node.notes.clear()
        return self.rules[""](call)  # type: ignore[no-any-return]


def tensors(value: Any) -> list[Tensor]:
    """The tensors in what a module takes or gives: containers of Python, other mappings, and dataclasses with fields."""
    found = []
    for leaf in tree_leaves(value):
        if isinstance(leaf, Tensor):
            found.append(leaf)
        elif isinstance(leaf, Mapping):
            found += tensors(list(leaf.values()))
        elif hasattr(leaf, "__dataclass_fields__"):
            found += tensors([getattr(leaf, name) for name in leaf.__dataclass_fields__])
    return found


def numbers(x: Tensor) -> bool:
    """Whether it holds real or complex numbers, and no whole ones."""
    return x.is_floating_point() or x.is_complex()


def reached(nodes: list[Node]) -> list[Node]:
    """The calls on the way to these, in their order."""
    seen, waiting = {id(node): node for node in nodes}, list(nodes)
    while waiting:
        for parent in waiting.pop().parents:
            if id(parent) not in seen:
                seen[id(parent)] = parent
                waiting.append(parent)
    return sorted(seen.values(), key=lambda node: node.place)


def _split(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Tensor], list[Tensor]]:
    """The tensors that a call writes to, and those that it reads. What is written in place is read too."""
    written, read = [], []
    for place, argument in enumerate(func._schema.arguments):
        value = args[place] if place < len(args) else kwargs.get(argument.name)
        found = (
            [value]
            if isinstance(value, Tensor)
            else [v for v in value if isinstance(v, Tensor)]
            if isinstance(value, list | tuple)
            else []
        )
        writes = argument.alias_info is not None and argument.alias_info.is_write
        if writes:
            written += found
        if not writes or place == 0 or not argument.kwarg_only:
            read += found
    return written, read


def _name(func: Any) -> str:
    namespace, _, name = func._schema.name.partition("::")
    if name.endswith("_") and not name.endswith("__"):
        name = name[:-1]
    return name if namespace == "aten" else f"{namespace}::{name}"
