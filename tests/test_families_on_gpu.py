"""Every family on a GPU gives what it gives on a CPU, and trains there. Skipped where there is none."""

import pytest
import torch
from test_families import SMALL, every_form

from allometry.train.example import example
from allometry.train.loop import Setting, train_step
from allometry.train.recipe import Recipe

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@every_form
def test_a_gpu_gives_what_a_cpu_gives(family, kind) -> None:
    torch.manual_seed(0)
    model = family.at(6, kind).build(SMALL[kind])
    inputs, targets = example(SMALL[kind], 4)
    with torch.no_grad():
        here = model.eval()(*inputs)
        there = model.cuda()(*(part.cuda() for part in inputs)).cpu()
    assert (here - there).abs().max() < 1e-3 * (1 + here.abs().max())
    for precision in ("fp32", "bf16"):
        optimizer = Recipe(rate=1e-3).optimizer(model.train())
        setting = Setting(device="cuda", precision=precision)
        losses = [float(train_step(model, optimizer, (inputs, targets), setting=setting)) for _ in range(8)]
        assert losses[-1] < losses[0]
