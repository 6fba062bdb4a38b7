"""Edits of Python code that make it wrong, or not what anyone would write, found with `ast`.

```text
operands     if start < end:            ->  if end < start:
arguments    copy(source, target)       ->  copy(target, source)
names        total += price * count     ->  total += price * price        (a variable misused for another: Allamanis et al.
                                                                           2018, arXiv:1711.00740)
```
"""

import ast
import dataclasses
from collections.abc import Iterator

from allometry.data._split import place

KINDS = ("operands", "arguments", "names")

# Whose operands have an order. In `a + b` and `a == b` it is a matter of taste, but for `a == 1`.
ORDERED = (ast.Sub, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.LShift, ast.RShift, ast.MatMult)
ORDERED_COMPARISONS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn)
# Whose arguments have none.
ORDERLESS = frozenset({"max", "min", "print", "zip", "chain", "gcd", "isclose", "union", "intersection"})
# In every method: as a variable misused they would be the only thing to learn.
EVERYWHERE = frozenset({"self", "cls", "_"})
# Inside, names are other names, or places are not told by `ast`.
NOT_ENTERED = (
    ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef, ast.JoinedStr,
    ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp,
)  # fmt: skip


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Edit:
    """One change of one line in one function."""

    kind: str
    sort: str  # which operator or which function: the sets take all sorts in turn
    number: int  # of the line, from 0
    start: int  # what stands from here in the line, in bytes,
    end: int  # to here
    texts: tuple[bytes, ...]  # is one of these instead
    first: int  # the first line of its function
    last: int  # the line behind its function


def edits(source: bytes) -> list[Edit]:
    """All edits of all functions of a file; none where it is no Python of this version."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return []
    lines = source.split(b"\n")
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [edit for function in functions for edit in _of_function(function, lines)]


def _of_function(function: ast.FunctionDef | ast.AsyncFunctionDef, lines: list[bytes]) -> Iterator[Edit]:
    nodes = list(_own(function))
    bound = _bound(function, nodes)
    span = {"first": function.lineno - 1, "last": function.end_lineno or function.lineno}
    for node in nodes:
        if isinstance(node, ast.BinOp | ast.Compare):
            if pair := _operands(node):
                yield from _swap("operands", type(pair[0]).__name__, node, pair[1:], lines, span)
        elif isinstance(node, ast.Call):
            if pair := _arguments(node):
                yield from _swap("arguments", _callee(node), node, pair, lines, span)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and bound.get(node.id, node.lineno) < node.lineno:
            others = tuple(sorted(n.encode() for n, at in bound.items() if at < node.lineno and n != node.id))
            if others:
                start, end = node.col_offset, node.end_col_offset or 0
                yield Edit(kind="names", sort="", number=node.lineno - 1, start=start, end=end, texts=others, **span)


def _own(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[ast.AST]:
    """What a function does itself, in no particular order."""
    stack: list[ast.AST] = list(function.body)
    while stack:
        node = stack.pop()
        if not isinstance(node, NOT_ENTERED):
            yield node
            stack.extend(ast.iter_child_nodes(node))


def _bound(function: ast.FunctionDef | ast.AsyncFunctionDef, nodes: list[ast.AST]) -> dict[str, int]:
    """The variables of a function and the line from which on each has a value; an argument has it from the start."""
    of = function.args
    arguments = [*of.posonlyargs, *of.args, *of.kwonlyargs, *filter(None, (of.vararg, of.kwarg))]
    bound = {argument.arg: 0 for argument in arguments}
    outer: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound[node.id] = min(node.lineno, bound.get(node.id, node.lineno))
        elif isinstance(node, ast.Global | ast.Nonlocal):
            outer.update(node.names)
    return {name: line for name, line in bound.items() if name not in EVERYWHERE | outer}


def _operands(node: ast.BinOp | ast.Compare) -> tuple[ast.AST, ast.expr, ast.expr] | None:
    """An operator with an order, and its two operands."""
    if isinstance(node, ast.BinOp):
        return (node.op, node.left, node.right) if isinstance(node.op, ORDERED) else None
    if len(node.ops) > 1:
        return None
    operator, left, right = node.ops[0], node.left, node.comparators[0]
    one = isinstance(right, ast.Constant) and not isinstance(left, ast.Constant)
    return (operator, left, right) if isinstance(operator, ORDERED_COMPARISONS) or one else None


def _arguments(node: ast.Call) -> tuple[ast.expr, ast.expr] | None:
    """Two arguments of a call, which by a hash of the call; not two constants, of which nothing says the order."""
    fixed: list[ast.expr] = []
    for argument in node.args:
        if isinstance(argument, ast.Starred):
            break
        fixed.append(argument)
    pairs = [(a, b) for i, a in enumerate(fixed) for b in fixed[i + 1 :]]
    pairs = [pair for pair in pairs if not all(isinstance(side, ast.Constant) for side in pair)]
    if not pairs or not _callee(node) or _callee(node) in ORDERLESS:
        return None
    return pairs[int(place(ast.dump(node)) * len(pairs))]


def _callee(node: ast.Call) -> str:
    return getattr(node.func, "id", getattr(node.func, "attr", ""))


def _swap(
    kind: str, sort: str, node: ast.expr, pair: tuple[ast.expr, ...], lines: list[bytes], span: dict[str, int]
) -> Iterator[Edit]:
    """The edit that swaps two parts of an expression; none where it is not in one line, or would need brackets."""
    left, right = pair
    number, start, end = node.lineno - 1, node.col_offset, node.end_col_offset or 0
    if node.end_lineno != node.lineno:
        return
    line = lines[number]
    one, other = (line[part.col_offset : part.end_col_offset] for part in pair)
    before, between = line[start : left.col_offset], line[left.end_col_offset : right.col_offset]
    text = before + other + between + one + line[right.end_col_offset : end]
    if ast.dump(left) != ast.dump(right) and _same(text, node, left, right):
        yield Edit(kind=kind, sort=sort, number=number, start=start, end=end, texts=(text,), **span)


def _same(text: bytes, node: ast.expr, left: ast.expr, right: ast.expr) -> bool:
    """Is this text the expression with the two parts swapped, and not, for want of brackets, another one?"""
    try:
        found = ast.parse(b"(" + text + b")", mode="eval").body
    except (SyntaxError, ValueError):
        return False
    wanted: ast.expr
    if isinstance(node, ast.BinOp):
        wanted = ast.BinOp(left=right, op=node.op, right=left)
    elif isinstance(node, ast.Compare):
        wanted = ast.Compare(left=right, ops=node.ops, comparators=[left])
    else:
        assert isinstance(node, ast.Call)
        swapped = [right if argument is left else left if argument is right else argument for argument in node.args]
        wanted = ast.Call(func=node.func, args=swapped, keywords=node.keywords)
    return ast.dump(found) == ast.dump(wanted)
