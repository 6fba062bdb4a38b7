"""What a model costs: FLOPs by part, parameters three ways, state, and the cross-check with the family's closed form.

FLOPs are counted on the forward pass that will run, on the meta device, 2 per multiply-add; training = 3 x forward (the one
place where that is said). Matrix products, attention, convolutions and LSTM kernels count; pointwise work does not.

Of graphs a token is a node. The count is that of a graph of the usual size (`io.length` nodes, `io.links` edges), with its edges,
globals and all steps, and is made on the CPU.
"""

import functools
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from allometry.flow import IO, Refusal, in_words
from allometry.model._family import Family, idle_parameters, non_embedding_parameters, vocabulary_layers
from allometry.spec import Spec
from allometry.train.answers import answers_to
from allometry.train.example import Inputs, Targets, built, counted_on, example

TRAINING = 3.0  # forward, and a backward of twice the forward; the convention of the field (Kaplan et al. 2020)


class Count(Spec):
    """What one model costs at one IO."""

    parameters: int  # all, a shared weight once
    non_embedding_parameters: int  # as applied, without embedding and output layer
    active_parameters: int  # all that one token meets; less than `parameters` for sparse models
    forward_flops_per_token: float
    vocabulary_flops_per_token: float  # the part of the forward FLOPs in embedding and output layer
    state_bytes: int | None  # fp32, for one sequence while it is generated; None: the family gives no formula
    length: int
    by_part: tuple[tuple[str, float], ...]  # forward FLOPs per token of each part

    @property
    def training_flops_per_token(self) -> float:
        return TRAINING * self.forward_flops_per_token

    def to_table(self) -> dict[str, Any]:
        """The count as plain JSON, with the keys that `allometry count --json` prints."""
        names = ("parameters", "non_embedding_parameters", "active_parameters", "forward_flops_per_token")
        return {name: getattr(self, name) for name in names} | {
            "training_flops_per_token": self.training_flops_per_token,
            "vocabulary_flops_per_token": self.vocabulary_flops_per_token,
            "state_bytes": self.state_bytes,
            "length": self.length,
            "by_part": dict(self.by_part),
        }


def count(family: Family, io: IO) -> Count:
    """Count a family at an IO, without memory for its weights and in the same way on every machine."""
    try:
        device = counted_on(io)
        with torch.random.fork_rng(devices=()), torch.device(device):
            model = built(family, io)
        inputs, targets = example(io, 1)
        inputs = tuple(part.to(device) for part in inputs)
        flops, out = _forward_flops(model.eval(), inputs)
        _hold(out, inputs, targets, device)
    except Refusal:
        raise
    except Exception as error:  # whatever a user's own code may raise
        raise Refusal(f"{family!r} cannot be counted: {in_words(error)}. It must run on the meta device.") from error
    form = family.closed_form(io)
    vocabulary = sum(flops.get(name, 0.0) for name in vocabulary_layers(model, io.outputs))
    parameters = sum(p.numel() for p in model.parameters())
    return Count(
        parameters=parameters,
        non_embedding_parameters=non_embedding_parameters(model, io.outputs),
        active_parameters=parameters - idle_parameters(model),
        forward_flops_per_token=flops[""] / io.length,
        vocabulary_flops_per_token=vocabulary / io.length,
        state_bytes=None if form is None else 4 * form.state_numbers,
        length=io.length,
        by_part=tuple((part, cost / io.length) for part, cost in _by_part(model, flops).items()),
    )


def tried(model: nn.Module, inputs: Inputs, targets: Targets, device: str) -> None:
    """One forward pass of a model on its device; it is of no use afterwards. Refuses an answer that is none to the targets."""
    inputs = tuple(part.to(device) for part in inputs)
    _shorten(model)
    with torch.no_grad():
        _hold(model.eval()(*inputs), inputs, targets, device)


def _hold(out: Any, inputs: Inputs, targets: Targets, device: str) -> None:
    """Hold an answer against the targets: what is none is refused."""
    answers = answers_to(targets)
    answers.losses(answers.said(out, inputs), targets.to(device), answers.asked(targets))


def check(family: Family, io: IO, counted: Count) -> str:
    """Whether the family's closed form gives what was counted, in words."""
    form = family.closed_form(io)
    if form is None:
        return "the family gives no formula"
    pairs = {
        "parameters": (form.parameters, counted.parameters),
        "non-embedding parameters": (form.non_embedding_parameters, counted.non_embedding_parameters),
        "forward FLOPs per token": (form.forward_flops_per_token, counted.forward_flops_per_token),
    }
    wrong = [f"{name}: formula {a:g}, counted {b:g}" for name, (a, b) in pairs.items() if abs(a - b) > 1e-9 * abs(b)]
    return "; ".join(wrong) or "agrees with the count"


def _forward_flops(model: nn.Module, inputs: Inputs) -> tuple[dict[str, float], Any]:
    """Forward FLOPs under each module's name; the whole model's name is the empty string. And what it gave."""
    _shorten(model)
    mode = FlopCounterMode(display=False, custom_mapping={torch.ops.aten.addmm_: _added})
    with mode, torch.no_grad():
        out = model(*inputs)
    root = type(model).__name__
    totals = {name: float(sum(by_operation.values())) for name, by_operation in mode.get_flop_counts().items()}
    inside = {name.removeprefix(root).removeprefix("."): cost for name, cost in totals.items() if name != "Global"}
    return inside | {"": totals.get("Global", 0.0)}, out


def _shorten(model: nn.Module) -> None:
    """Recurrent kernels without their loops."""
    for module in model.modules():
        if isinstance(module, nn.RNNBase) and not module.bidirectional:
            module.forward = functools.partial(_as_products, module)  # type: ignore[method-assign]


def _added(total: torch.Size, a: torch.Size, b: torch.Size, **_: Any) -> int:
    """A product that is added in place, which torch's counter does not know."""
    return 2 * a[0] * a[1] * b[1]


def _as_products(layer: nn.RNNBase, x: torch.Tensor, state: Any = None) -> tuple[torch.Tensor, None]:
    """The products of a recurrent kernel without its loop over positions, which on meta takes a second for each model.

    Counts what torch's own decomposition counts (a test compares them). x is [batch length width], or length first.
    """
    for weights in layer.all_weights:
        into, recur = weights[0], weights[1]
        gates = x @ into.T
        hidden = gates.new_empty(*gates.shape[:-1], recur.shape[1])
        hidden @ recur.T
        x = gates.new_empty(*gates.shape[:-1], layer.hidden_size) @ weights[-1].T if layer.proj_size else hidden
    return x, None


def _by_part(model: nn.Module, flops: dict[str, float]) -> dict[str, float]:
    """FLOPs by the kind of part: what layers are made of (`layers.3.mixer` is `mixer`), else the child of the model.

    Where there are two stacks, those parts carry the name of theirs: `encoder mixer`.
    """
    lists = [
        (name, m) for name, m in model.named_modules() if isinstance(m, nn.ModuleList) and not _inside_a_list(name, model)
    ]
    parts: dict[str, float] = {}
    for list_name, layers in lists:
        stack = list_name.split(".")[0] + " " if len(lists) > 1 else ""
        for index, layer in enumerate(layers):
            for part_name, _ in layer.named_children():
                cost = flops.get(f"{list_name}.{index}.{part_name}", 0.0)
                parts[stack + part_name] = parts.get(stack + part_name, 0.0) + cost
    listed = {name.split(".")[0] for name, _ in lists}
    for name, _ in model.named_children():
        if name not in listed:
            parts[name] = parts.get(name, 0.0) + flops.get(name, 0.0)
    parts = {name: cost for name, cost in parts.items() if cost > 0}
    rest = flops[""] - sum(parts.values())
    return parts | ({"other": rest} if rest > 1e-6 * flops[""] else {})


def _inside_a_list(name: str, model: nn.Module) -> bool:
    """Whether a module stands inside a list of layers: the experts of a layer are no layers."""
    parents = [".".join(name.split(".")[:depth]) for depth in range(1, name.count(".") + 1)]
    return any(isinstance(model.get_submodule(parent), nn.ModuleList) for parent in parents)
