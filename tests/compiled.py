"""Whether a model compiled in one graph is the model itself: in a process of its own, as the compiler cannot trace type checks.

That process is a copy of one which has loaded torch and its compiler: loading them takes five seconds, the programs less.
"""

import ast
import atexit
import functools
import select
import subprocess
import sys

# Runs each program that it is given in a copy of this process. A line is a program and its answer what it died of, as Python
# writes strings.
SERVER = """
import ast, os, sys, traceback
import torch, torch._dynamo, torch._functorch.aot_autograd, allometry.model.families.transformer

for line in sys.stdin:
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        said, sys.stdout = "", sys.stderr
        try:
            exec(ast.literal_eval(line), globals())
        except BaseException:
            said = traceback.format_exc()
        with open(write, "w") as end:
            end.write(repr(said))
        os._exit(0)
    os.close(write)
    with open(read) as end:
        said = end.read() or repr("it ended without a word")
    os.waitpid(child, 0)
    print(said, flush=True)
"""
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
    succeeds(PROGRAM.format(setup=setup, loss=loss, tolerances=tolerances))


def succeeds(program: str) -> None:
    """The program runs to its end, in a process that checks no types."""
    server = _server()
    assert server.stdin is not None
    assert server.stdout is not None
    print(repr(program), file=server.stdin, flush=True)
    assert select.select([server.stdout], [], [], 120)[0], "no answer in 120 seconds"
    said = ast.literal_eval(server.stdout.readline())
    assert not said, said


@functools.cache
def _server() -> subprocess.Popen[str]:
    server = subprocess.Popen([sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(_end, server)
    return server


def _end(server: subprocess.Popen[str]) -> None:
    """Its input closed, it ends."""
    server.communicate()
