"""Speed on a GPU: the gated mixers alone against torch.nn.GRU, and Mamba-2 against that of transformers. Forward and backward.

The forms of recurrence_speed.py (width 256, depth 4, 16 sequences of 256 vectors, fp32 without TF32) and of architecture_speed.py,
step by step in turn. A step ends when the GPU has done it; a round has a ratio for each form, and the median counts.

    python benchmarks/gpu_speed.py                      # half a minute; transformers has to be installed for the second part
"""

import argparse
import contextlib
import importlib.util
import os
import statistics
import sys
from collections.abc import Callable

import torch
import torch.nn.functional as F
from _result import keep
from _turns import in_turn
from torch import nn
from transformer_speed import RATE, VOCAB

SHAPES = ((16, 256), (1, 4096), (1, 16384))  # sequences and their tokens


def mixers(rounds: int) -> dict[str, dict[str, float]]:
    from recurrence_speed import MARK, WIDTH, forms

    steps = {}
    for name, model in forms(False).items():
        steps[name] = mixer_step(model.cuda(), torch.randn(16, 256, WIDTH, device="cuda", requires_grad=True))
    return compared(steps, MARK, rounds)


def mixer_step(model: nn.Module, x: torch.Tensor) -> Callable[[], None]:
    gradient = torch.randn_like(x) / x.numel()

    def step() -> None:
        model.zero_grad()
        x.grad = None
        model(x).backward(gradient)
        torch.cuda.synchronize()

    return step


def state_spaces(batch: int, length: int, precision: str, rounds: int) -> dict[str, dict[str, float]]:
    """Whole training steps of the family and of its peers, with the same optimiser."""
    from architecture_speed import ours, peers_of

    tokens = torch.randint(VOCAB, (batch, length + 1), generator=torch.Generator().manual_seed(1)).cuda()
    models: dict[str, nn.Module] = {}
    for name, build in {"allometry": lambda: ours("mamba2", length), **peers_of("mamba2")}.items():
        torch.manual_seed(0)
        with contextlib.redirect_stdout(sys.stderr):
            models[name] = build().train().cuda()
    found = compared({name: training_step(model, tokens, precision) for name, model in models.items()}, "allometry", rounds)
    for row in found.values():
        row["tokens_per_second"] = round(batch * length / row["milliseconds"] * 1e3)
        row["ours_is_faster"] = round(1 / row["faster_than_the_mark"], 3)
    return found


def training_step(model: nn.Module, tokens: torch.Tensor, precision: str) -> Callable[[], None]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, fused=True)

    def step() -> None:
        with torch.autocast("cuda", torch.bfloat16, enabled=precision == "bf16"):
            logits = model(tokens[:, :-1])
        F.cross_entropy(logits.float().flatten(0, 1), tokens[:, 1:].flatten()).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        torch.cuda.synchronize()

    return step


def compared(steps: dict[str, Callable[[], None]], mark: str, rounds: int) -> dict[str, dict[str, float]]:
    seconds = {name: [wall for wall, _ in taken] for name, taken in in_turn(steps, rounds).items()}
    return {
        name: {
            "milliseconds": round(1e3 * statistics.median(taken), 2),
            "faster_than_the_mark": round(statistics.median(a / b for a, b in zip(seconds[mark], taken, strict=True)), 3),
        }
        for name, taken in seconds.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    asked = parser.parse_args()
    if not torch.cuda.is_available():
        parser.error("this machine has no CUDA device")
    torch.backends.cudnn.allow_tf32 = False  # fp32 is fp32, as in our workers
    found = {"mixers": mixers(asked.rounds)}
    figures = [
        {"figure": f"{name} against torch.nn.GRU", "measured": row["faster_than_the_mark"], "unit": "x"}
        for name, row in found["mixers"].items()
    ]
    if importlib.util.find_spec("transformers"):
        for precision in ("fp32", "bf16"):
            for batch, length in SHAPES:
                name = f"mamba2 {precision} {batch} x {length}"
                found[name] = state_spaces(batch, length, precision, asked.rounds)
                best = min((row["ours_is_faster"], form) for form, row in found[name].items() if form != "allometry")
                figure = {"figure": f"{name}, against {best[1]}", "measured": best[0], "unit": "x"}
                figures.append({**figure, "bar": "at least 1.5x", "holds": best[0] >= 1.5})
    keep(figures, device=torch.cuda.get_device_name(), load=round(os.getloadavg()[0], 1), rounds=asked.rounds, found=found)


if __name__ == "__main__":
    main()
