"""Edits of Python code that make it wrong, or not what anyone would write, found with `ast`: two places are exchanged.

```text
operands     if start < end:            ->  if end < start:
arguments    copy(source, target)       ->  copy(target, source)
names        self.width = width         ->  self.width = height           (two variables misused for each other, after
             self.height = height           self.height = width            Allamanis et al. 2018, arXiv:1711.00740)
```
As it is an exchange, the words of the code stay the same.
"""

import ast
import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

from allometry.data._split import place

KINDS = ("operands", "arguments", "names")

# Whose operands have an order. In `a + b` and `a == b` it is a matter of taste, but for `a == 1`.
ORDERED = (ast.Sub, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.LShift, ast.RShift, ast.MatMult)
ORDERED_COMPARISONS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn)
# Whose arguments have none.
ORDERLESS = frozenset({"max", "min", "print", "zip", "chain", "gcd", "isclose", "union", "intersection"})
# In every method: as a variable misused they would be the only thing to learn.
EVERYWHERE = frozenset({"self", "cls", "_"})
NEAR = 4  # lines between two variables that are exchanged, at most
# Inside, names are other names, or places are not told by `ast`.
NOT_ENTERED = (
    ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef, ast.JoinedStr,
    ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp,
)  # fmt: skip


class Span(NamedTuple):
    """Some bytes of a line."""

    number: int  # of the line, from 0
    start: int
    end: int


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Edit:
    """Two places in one function whose contents are exchanged."""

    kind: str
    sort: str  # which operator or which function: the sets take all sorts in turn
    one: Span
    other: Span  # behind `one`
    first: int  # the first line of its function
    last: int  # the line behind its function

    def lines(self, lines: list[bytes]) -> dict[int, bytes]:
        """The lines that it changes, by their number, as they are then; `lines` are those of the file."""
        texts = [lines[span.number][span.start : span.end] for span in (self.one, self.other)]
        changed = {span.number: lines[span.number] for span in (self.one, self.other)}
        for span, text in (
            (self.other, texts[0]),
            (self.one, texts[1]),
        ):  # from behind, so that no place moves before its turn
            line = changed[span.number]
            changed[span.number] = line[: span.start] + text + line[span.end :]
        return changed


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
    span = {"first": function.lineno - 1, "last": function.end_lineno or function.lineno}
    for node, _ in nodes:
        if isinstance(node, ast.BinOp | ast.Compare):
            if pair := _operands(node):
                yield from _swap("operands", type(pair[0]).__name__, node, pair[1:], lines, span)
        elif isinstance(node, ast.Call) and (pair := _arguments(node)):
            yield from _swap("arguments", _callee(node), node, pair, lines, span)
    yield from _names(nodes, _bound(function, [node for node, _ in nodes]), span)


def _own(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[tuple[ast.AST, ast.AST]]:
    """What a function does itself, in no particular order, and the statement that it stands in."""
    stack: list[tuple[ast.AST, ast.AST]] = [(node, node) for node in function.body]
    while stack:
        node, statement = stack.pop()
        if not isinstance(node, NOT_ENTERED):
            yield node, statement
            stack.extend(
                (child, child if isinstance(child, ast.stmt) else statement) for child in ast.iter_child_nodes(node)
            )


def _names(nodes: list[tuple[ast.AST, ast.AST]], bound: dict[str, int], span: dict[str, int]) -> Iterator[Edit]:
    """Each use of a variable, exchanged with one before it, which by a hash: of another variable, in another statement.

    Each of the two has a value where the other stands. Within one statement an exchange is often no error: `a + b`.
    """
    uses = [
        (Span(node.lineno - 1, node.col_offset, node.end_col_offset or 0), node.id, statement)
        for node, statement in nodes
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and bound.get(node.id, node.lineno) < node.lineno
    ]
    uses.sort(key=lambda use: use[0])
    for index, (other, name, statement) in enumerate(uses):
        earlier = [
            one
            for one, its_name, its_statement in uses[:index]
            if other.number - NEAR <= one.number < other.number  # lines count from 0 here, and from 1 in `bound`
            and bound[name] <= one.number
            and its_name != name
            and its_statement is not statement
        ]
        if earlier:
            one = earlier[int(place(f"{name} {other}") * len(earlier))]
            yield Edit(kind="names", sort="", one=one, other=other, **span)


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
    number = node.lineno - 1
    if node.end_lineno != node.lineno or ast.dump(left) == ast.dump(right):
        return
    one, other = (Span(number, part.col_offset, part.end_col_offset or 0) for part in pair)
    edit = Edit(kind=kind, sort=sort, one=one, other=other, **span)
    # The whole is as long as it was.
    if _same(edit.lines(lines)[number][node.col_offset : node.end_col_offset], node, left, right):
        yield edit


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
