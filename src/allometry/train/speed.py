"""Speed on the machine at hand: seconds for a training step, and which precision is the faster."""

import time

import torch
from torch import nn

from allometry.flow import IO
from allometry.train.allocator import keep_freed_memory
from allometry.train.example import example
from allometry.train.loop import Setting, train_step
from allometry.train.recipe import Recipe


def seconds_per_step(model: nn.Module, io: IO, batch: int, setting: Setting, at_most: float = 0.3) -> float:
    """Median seconds of a training step on random examples: two steps to warm up, then for `at_most` seconds, three at least."""
    keep_freed_memory()  # as `train` does
    optimizer = Recipe(rate=1e-4).optimizer(model.train())
    examples = example(io, batch)
    times: list[float] = []
    began = time.perf_counter()
    while len(times) < 5 or (time.perf_counter() - began < at_most and len(times) < 200):
        start = time.perf_counter()
        float(train_step(model, optimizer, examples, setting=setting))  # float: waits for the device
        times.append(time.perf_counter() - start)
    return sorted(times[2:])[len(times[2:]) // 2]


def latency(model: nn.Module, io: IO, setting: Setting) -> float:
    """Median seconds of a forward pass of one sequence or graph, of ten."""
    model.eval()
    inputs = tuple(part.to(setting.device) for part in example(io, 1)[0])
    times = []
    with torch.no_grad():
        for _ in range(12):
            start = time.perf_counter()
            model(*inputs)
            if setting.device.startswith("cuda"):
                torch.cuda.synchronize(setting.device)
            times.append(time.perf_counter() - start)
    return sorted(times[2:])[5]
