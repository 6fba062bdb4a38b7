"""How many gates a model has: its gating quarks, counted while it runs once (Baldi and Vershynin 2022, arXiv:2202.08371).

Every signal that depends on the input is followed. Where two of them multiply, one gates the other, number by number; where they
add, that is in the standard model of neurons; where a signal meets a parameter or a constant, that is a synapse. The rules stand in
`_census/rules.py`, kernels that hold whole layers in `_census/kernels.py`. Only what reaches the output counts.
"""

import dataclasses
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pandas as pd
import torch
from torch import nn

from allometry.flow import Refusal, in_words
from allometry.probe._census.kernels import KERNELS
from allometry.probe._census.leaving import Leaving, exchanged
from allometry.probe._census.marks import ADDITIVE, OUTPUT, SHAPING, STATIC, SYNAPTIC, Entry
from allometry.probe._census.rules import RULES
from allometry.probe._census.running import as_written, located
from allometry.probe._census.trace import FREE, UNSEEN, Trace, reached, tensors

COUNTS = (
    "gate_signals", "gating_ops", "output_gatings", "gated_synapses", "additive", "shaping", "static_mults",
    "unmasked_gate_signals", "unmasked_gating_ops",
)  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class NotCounted:
    """An operation whose products are not in the counts."""

    op: str
    module: str
    # no rule | memory that no operation was seen to write | read into Python: the counts are not whole
    # a choice among signals | a choice in Python | no signal is seen to reach it
    reason: str
    times: int


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Census:
    """What was counted, for the example as it was given, all its sequences together.

    `modules`: one row for each module that counts anything, with its path and class, in the order of the model. The columns are

    - gate_signals: distinct attending scalars; gating_ops: multiplications of a signal by one of them, of which output_gatings gate
      an output on all its ways, and gated_synapses one synapse each
    - additive: sums of two signals (multiplexing, residuals: in the standard model)
    - shaping: products of a signal with a function of itself (ReLU, SiLU, GELU, squares), which are in no other column
    - static_mults: multiplications of a signal by a parameter or a tensor of constants
    - unmasked_gate_signals, unmasked_gating_ops: without those that a constant mask makes 0, such as the future of causal
      attention; the columns before them are dense
    - parameters: of the module itself, a shared one once
    """

    model: str  # the class
    example: tuple[tuple[int, ...], ...]  # the shapes of all tensors in it, on which the counts depend
    modules: pd.DataFrame
    not_counted: tuple[NotCounted, ...]

    @property
    def total(self) -> dict[str, int]:
        """The sums over all modules."""
        return _sums(self.modules)

    @property
    def complete(self) -> bool:
        """Whether every operation on signals was seen and had a rule, so far as a census sees."""
        return not self.unknown

    @property
    def unknown(self) -> tuple[NotCounted, ...]:
        """What may have made products that nobody counts: no rule, unseen memory, numbers read into Python."""
        return tuple(one for one in self.not_counted if one.reason in UNSEEN)

    def table(self, depth: int | None = None) -> pd.DataFrame:
        """One row for each module, what is inside it included, and the total first; `depth`: names in a path at most."""
        rows = [{"module": "", "kind": self.model} | self.total]
        paths = dict.fromkeys(
            ".".join(words[: place + 1])
            for words in (path.split(".") for path in self.modules["module"] if path)
            for place in range(len(words) if depth is None else min(depth, len(words)))
        )
        kinds = dict(zip(self.modules["module"], self.modules["kind"], strict=True))
        names = self.modules["module"]
        for path in paths:
            inside = self.modules.loc[(names == path) | names.str.startswith(path + ".")]
            rows.append({"module": path, "kind": kinds.get(path, "")} | _sums(inside))
        return pd.DataFrame(rows)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON: what it was counted on, total, modules with what is inside them and their own operations, what was not."""
        return {
            "model": self.model,
            "example": [list(shape) for shape in self.example],
            "torch": str(torch.__version__),  # what is decomposed, and how, is its own
            "complete": self.complete,
            "total": self.total,
            "modules": self.table().to_dict("records")[1:],
            "own": self.modules.to_dict("records"),
            "not_counted": [dataclasses.asdict(one) for one in self.not_counted],
        }

    def __repr__(self) -> str:
        shapes = ", ".join(" x ".join(map(str, shape)) or "one number" for shape in self.example)
        lines = [f"Census of {self.model} on {shapes}", self.table(depth=3).to_string(index=False)]
        return "\n".join([*lines, *(f"not counted: {one.op} at {one.module or 'the top'}, {one.times}x ({one.reason})"
                                    for one in self.not_counted)])  # fmt: skip


def census(model: nn.Module, example: Any) -> Census:
    """Count the gates of any module on one example, which it runs once, without gradients, as in evaluation.

    Args:
        model: any module, on any device. It is left as it was, but that lazy layers take their widths.
        example: what it is called with: a tuple or list of arguments, a mapping of keyword arguments, or anything else as the one
            argument, such as a tensor, a dataclass or a named tuple (packed sequences are one). All tensors in it are signals. One
            sequence gives the numbers of one sequence; on the meta device masks are not seen.

    Raises:
        Refusal: the module does not run on the example, or runs functions in one operator (torch.cond), or no tensor is found in
            the example or in what the module gives.
    """
    if not tensors(example):
        raise Refusal(f"The example of {type(model).__name__} has no tensor, so nothing depends on it. Give its inputs.")
    shapes = tuple(tuple(tensor.shape) for tensor in tensors(example))
    trace = Trace(RULES | KERNELS)
    trace.depend(example)
    try:
        with as_written(model), located(model, trace.stack), Leaving(trace), exchanged(trace), trace:
            out = _called(model, example)
    except Refusal:
        raise
    except Exception as error:  # whatever a user's own code may raise
        raise Refusal(f"{type(model).__name__} does not run on the example: {in_words(error)}.") from error
    outs = tensors(out)
    if not outs:
        raise Refusal(
            f"{type(model).__name__} gives {type(out).__name__}, with no tensor that is found in it, so nothing that it does would "
            "count. Let it give a tensor, or a tuple, mapping or dataclass of tensors."
        )
    trace.reads(outs)
    marks = [mark for tensor in outs if (mark := trace.marks.get(tensor)) is not None]
    calls = reached([mark.node for mark in marks])
    notes = Counter([note for call in calls for note in call.notes] + trace.read)
    if not marks:
        notes[FREE, "output", ""] = len(outs)
    not_counted = tuple(
        NotCounted(op=op, module=path, reason=reason, times=times) for (reason, op, path), times in notes.items()
    )
    entries = [entry for call in calls for entry in call.entries]
    return Census(model=type(model).__name__, example=shapes, modules=_modules(model, entries), not_counted=not_counted)


def _sums(rows: pd.DataFrame) -> dict[str, int]:
    return {name: sum(rows[name].tolist()) for name in (*COUNTS, "parameters")}


def _called(model: nn.Module, example: Any) -> Any:
    if isinstance(example, Mapping):
        return model(**example)
    several = isinstance(example, tuple | list) and not hasattr(
        example, "_fields"
    )  # a named tuple is one, such as packed sequences
    return model(*example) if several else model(example)


def _modules(model: nn.Module, entries: list[Entry]) -> pd.DataFrame:
    """The counts of each module's own operations."""
    rows: dict[str, dict[str, Any]] = {}
    met: set[int] = set()
    for path, module in model.named_modules():
        own = [one for one in module.parameters(recurse=False) if id(one) not in met]
        met |= {id(one) for one in own}
        counts = dict.fromkeys(COUNTS, 0) | {"parameters": sum(one.numel() for one in own)}
        rows[path] = {"module": path, "kind": type(module).__name__} | counts
    signals: dict[int, tuple[int, int]] = {}  # of a root, those that are counted: dense, unmasked
    for entry in entries:
        row = rows[entry.path]
        if entry.quark in (ADDITIVE, SHAPING, STATIC):
            row[{ADDITIVE: "additive", SHAPING: "shaping", STATIC: "static_mults"}[entry.quark]] += entry.operations
            continue
        row["gating_ops"] += entry.operations
        row["unmasked_gating_ops"] += round(entry.operations * entry.kept)
        row[{OUTPUT: "output_gatings", SYNAPTIC: "gated_synapses"}[entry.quark]] += entry.operations
        found = entry.signals, round(entry.signals * entry.kept) if entry.masks_signals else entry.signals
        known = signals.get(entry.root, (0, 0))
        row["gate_signals"] += max(0, found[0] - known[0])
        row["unmasked_gate_signals"] += max(0, found[1] - known[1])
        signals[entry.root] = max(found[0], known[0]), max(found[1], known[1])
    counted = [row for row in rows.values() if any(row[name] for name in (*COUNTS, "parameters"))]
    return pd.DataFrame(counted or [next(iter(rows.values()))])
