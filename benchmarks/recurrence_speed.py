"""Speed of the gated mixers alone on CPU against torch.nn.GRU, with torch.nn.LSTM as the mark: forward and backward, in fp32.

Four mixers on one another without norms or channel parts, width 256, 16 sequences of 256 vectors. A mixer of ours ends with a
product that torch.nn.GRU does not have, so there are two comparisons of like with like:

    alone       the recurrences, ours without their last product, torch's with all layers in one module
    projected   the mixers as the families have them, torch's with a product after each layer

All forms run in one process, step by step in turn, and a round has a ratio for each: a slow moment of the machine slows both sides
of it. The request that our training loop makes of the allocator holds for all of them; without it torch.nn.LSTM takes 1.7 times as
long. Ratios are of processor time, which other processes move less than time on the wall (which is kept too); with two
threads it is time on the wall that says what the second one gives.

    python benchmarks/recurrence_speed.py               # some 2 minutes
    python benchmarks/recurrence_speed.py --rounds 15
"""

import argparse
import os
import statistics
from collections.abc import Callable

import torch
from _result import keep
from _turns import in_turn
from torch import Tensor, nn

from allometry.model.blocks._block import Block
from allometry.model.blocks.gated_recurrence import GatedRecurrence
from allometry.model.blocks.gated_recurrent_unit import GatedRecurrentUnit
from allometry.model.blocks.leaky_recurrence import LeakyRecurrence
from allometry.model.blocks.long_short_term_memory import LongShortTermMemory
from allometry.model.blocks.minimal_gated_recurrence import MinimalGatedRecurrence
from allometry.model.blocks.minimal_long_short_term_memory import MinimalLongShortTermMemory
from allometry.model.blocks.recurrence import Recurrence
from allometry.train.allocator import keep_freed_memory

WIDTH, DEPTH = 256, 4
OURS: dict[str, Block] = {
    "rnn": Recurrence(width=WIDTH),
    "leaky_rnn": LeakyRecurrence(width=WIDTH),
    "gated_rnn, one gate": GatedRecurrence(width=WIDTH, gate="one"),
    "gated_rnn, a gate for each unit": GatedRecurrence(width=WIDTH),
    "gru": GatedRecurrentUnit(width=WIDTH),
    "lstm": LongShortTermMemory(width=WIDTH),
    "min_gru": MinimalGatedRecurrence(width=WIDTH),
    "min_lstm": MinimalLongShortTermMemory(width=WIDTH),
}
TORCHS: dict[str, type[nn.RNNBase]] = {"torch.nn.GRU": nn.GRU, "torch.nn.LSTM": nn.LSTM}
MARK = "torch.nn.GRU"
ALONE, PROJECTED = "alone", "projected"


class States(nn.Module):
    """The states of a recurrence of torch, and what a product makes of them if there is one."""

    def __init__(self, kind: type[nn.RNNBase], depth: int, projected: bool) -> None:
        super().__init__()
        self.recurrence = kind(WIDTH, WIDTH, num_layers=depth, batch_first=True)
        self.out = nn.Linear(WIDTH, WIDTH, bias=False) if projected else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.recurrence(x)[0])


def ours(block: Block, projected: bool) -> nn.Module:
    layers = [block.build(DEPTH) for _ in range(DEPTH)]
    if not projected:
        for layer in layers:
            layer.out = nn.Identity()
    return nn.Sequential(*layers)


def torchs(kind: type[nn.RNNBase], projected: bool) -> nn.Module:
    return nn.Sequential(*(States(kind, 1, True) for _ in range(DEPTH))) if projected else States(kind, DEPTH, False)


def stepper(model: nn.Module, batch: int, length: int) -> Callable[[], None]:
    """Forward and backward, to the input too: below a mixer there are other parts."""
    x = torch.randn(batch, length, WIDTH, requires_grad=True)
    gradient = torch.randn(batch, length, WIDTH) / x.numel()

    def step() -> None:
        model.zero_grad()
        x.grad = None
        model(x).backward(gradient)

    return step


def measure(steps: dict[str, Callable[[], None]], rounds: int) -> dict[str, dict[str, float]]:
    """Medians over rounds, in each of which every form makes a step in turn: seconds, and the mark's by the form's."""
    seconds = in_turn(steps, rounds)

    def ratio(form: str, clock: int) -> float:
        pairs = zip(seconds[MARK], seconds[form], strict=True)
        return round(statistics.median(mark[clock] / own[clock] for mark, own in pairs), 3)

    return {
        form: {
            "milliseconds": round(1e3 * statistics.median(wall for wall, _ in taken), 1),
            "processor_milliseconds": round(1e3 * statistics.median(processor for _, processor in taken), 1),
            "faster_than_the_mark": ratio(form, 0),
            "takes_less_processor": ratio(form, 1),
        }
        for form, taken in seconds.items()
    }


def forms(projected: bool) -> dict[str, nn.Module]:
    torch.manual_seed(0)
    found = {name: torchs(kind, projected) for name, kind in TORCHS.items()}
    return found | {name: ours(block, projected) for name, block in OURS.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch", type=int, default=16, help="sequences in a step")
    parser.add_argument("--length", type=int, default=256, help="vectors in a sequence")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="one comparison with each number")
    asked = parser.parse_args()
    keep_freed_memory()
    figures, found = [], {}
    for threads in asked.threads:
        torch.set_num_threads(threads)
        for compared in (ALONE, PROJECTED):
            models = forms(compared == PROJECTED)
            rows = measure({form: stepper(model, asked.batch, asked.length) for form, model in models.items()}, asked.rounds)
            for form, row in rows.items():
                row["parameters"] = sum(p.numel() for p in models[form].parameters())
                figure = {
                    "figure": f"{form}: {compared}, {threads} thread{'s' * (threads > 1)}",
                    "measured": row["takes_less_processor"],
                    "unit": "x",
                }
                figures.append({**figure, "wall": row["faster_than_the_mark"]})
            found[f"{compared}, {threads} thread{'s' * (threads > 1)}"] = {
                "load": round(os.getloadavg()[0], 1),
                "forms": rows,
            }
    shape = {"width": WIDTH, "depth": DEPTH, "batch": asked.batch, "length": asked.length}
    keep(figures, mark=MARK, rounds=asked.rounds, **shape, comparisons=found)


if __name__ == "__main__":
    main()
