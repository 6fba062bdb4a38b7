"""Whether a model compiled in one graph is the model itself: in a process of its own, as the compiler cannot trace type checks."""

import subprocess
import sys

PROGRAM = """
import torch
{setup}
results = []
for form in (model, torch.compile(model, backend="aot_eager", fullgraph=True)):
    model.zero_grad()
    out = form(x)
    {loss}.backward()
    results.append([out.detach(), *(p.grad for p in model.parameters())])
for eager, compiled in zip(*results, strict=True):
    torch.testing.assert_close(compiled, eager, {tolerances})
"""
OF_TOKENS = "torch.nn.functional.cross_entropy(out.flatten(0, 1), x.flatten())"


def compiled_is_eager(setup: str, tolerances: str = "", loss: str = "out.square().sum()") -> None:
    """`setup` makes `model` and its input `x`; compared are the output and the gradients of all parameters."""
    program = PROGRAM.format(setup=setup, loss=loss, tolerances=tolerances)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
