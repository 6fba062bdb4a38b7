"""What a larger batch costs a small model at the same number of tokens: why runs of many steps take larger batches.

Each model sees the same tokens of the standard library's source in batches of 2, 4, 8 and 16 sequences of 64 tokens, at
several learning rates and two seeds; the best rate of each batch counts. `study/design.py` (MANY) rests on this.

    python benchmarks/batch_size.py                 # about 4 minutes on one core
"""

import argparse
import functools
import math
import statistics

import torch
from _result import keep

from allometry.api import cache
from allometry.data._corpus import prepare
from allometry.data.text import Text
from allometry.flow import Budget, Tokens
from allometry.study.job import family_at
from allometry.train.evaluate import evaluate
from allometry.train.loop import Setting, train
from allometry.train.recipe import Recipe

LENGTH, TOKENS, SIZE = 64, 4e5, 2
BATCHES, RATES, SEEDS = (2, 4, 8, 16), (0.01, 0.025, 0.06), (0, 1)


def bits_per_byte(task: Text, family: str, batch: int, rate: float, seed: int, setting: Setting) -> float:
    """Held-out loss of one run."""
    torch.manual_seed(seed)
    io = Tokens(vocab=task.io.vocab, length=LENGTH)
    model = family_at(family, SIZE).build(io)
    budget = Budget(flops=0.0, steps=round(TOKENS / LENGTH / batch), batch=batch)
    for _ in train(model, functools.partial(task.batch, seed), Recipe(rate=rate), budget, setting, 0.0):
        pass
    held_out = task.held_out(96)
    score = evaluate(model, held_out.inputs, held_out.targets, held_out.weights, held_out.document, setting)
    return score.loss / math.log(2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", default="lstm,transformer")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    corpus = prepare(("stdlib",), tokenizer="bytes", text_key="text", text_column=None, cache=cache())
    task, rows = Text(corpus, LENGTH), []
    for family in arguments.families.split(","):
        for batch in BATCHES:
            losses = {
                rate: statistics.mean(bits_per_byte(task, family, batch, rate, seed, Setting()) for seed in SEEDS)
                for rate in RATES
            }
            best = min(losses, key=lambda rate: losses[rate])
            steps = round(TOKENS / LENGTH / batch)
            said = f"{family}, batches of {batch}: {steps} steps, best rate {best:g}"
            rows.append({"figure": said, "measured": losses[best], "unit": "bits per byte"})
    keep(rows, size=SIZE, tokens=TOKENS, length=LENGTH, rates=RATES, seeds=SEEDS)


if __name__ == "__main__":
    main()
