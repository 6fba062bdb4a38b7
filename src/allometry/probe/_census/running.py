"""How a module runs while it is counted: as its equations are written, and with the path of what runs known."""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from allometry.model.blocks._eager import plain_equations


@contextlib.contextmanager
def located(model: nn.Module, stack: list[str]) -> Iterator[None]:
    """The stack has the path of the module that runs, also after one that raised and whose error was caught.

    A module's own hooks, before and after, are a part of it. A scripted module takes none: what it does is at the module that calls
    it.
    """
    hooks = []
    for path, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            continue

        def enters(*_: Any, path: str = path) -> None:
            stack.append(path)

        def leaves(*_: Any) -> None:
            stack.pop()

        hooks += [
            module.register_forward_pre_hook(enters, prepend=True),
            module.register_forward_hook(leaves, always_call=True),
        ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@contextlib.contextmanager
def as_written(model: nn.Module) -> Iterator[None]:
    """Modules run as their equations are written: no dropout, no fused attention, no compiler."""
    training = {module: module.training for module in model.modules()}
    fast = torch.backends.mha.get_fastpath_enabled()
    with contextlib.ExitStack() as context:
        context.enter_context(torch.no_grad())
        context.enter_context(plain_equations())
        context.enter_context(torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH))
        if any(getattr(m, "_compiled_call_impl", None) or type(m).__name__ == "OptimizedModule" for m in training):
            context.enter_context(torch.compiler.set_stance("force_eager"))
        try:
            torch.backends.mha.set_fastpath_enabled(False)
            model.eval()
            yield
        finally:
            torch.backends.mha.set_fastpath_enabled(fast)
            for module, state in training.items():
                module.training = state
