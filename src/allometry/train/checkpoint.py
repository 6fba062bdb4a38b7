"""Checkpoints: one safetensors file with weights, optimiser state and where the run was, replaced atomically.

Nothing is unpickled. A file that was cut or altered is recognised and refused with `Damaged`.
"""

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

NAME = "checkpoint.safetensors"
WEIGHTS = "model.safetensors"


class Damaged(ValueError):
    """A checkpoint that cannot be read or does not fit the run."""


class Unwritable(OSError):
    """A checkpoint that the file system does not take: that is no fault of the run."""


def write(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, where: dict[str, Any]) -> None:
    """Write a checkpoint. `where` is plain JSON: step, seconds and what else the loop needs to go on."""
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    for index, state in enumerate(_states(optimizer)):
        tensors |= {f"optimizer.{index}.{name}": value for name, value in state.items()}
    tensors["random.cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["random.cuda"] = torch.cuda.get_rng_state()
    # Copies, as tied weights are one tensor under two names, which the format does not take.
    content = save({name: value.detach().cpu().clone() for name, value in tensors.items()}, {"where": json.dumps(where)})
    half_written = folder / (NAME + ".part")
    try:
        with open(half_written, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(half_written, folder / NAME)
    except OSError as error:
        raise Unwritable(error.errno, error.strerror, str(folder / NAME)) from error


def read(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any] | None:
    """Load the checkpoint of a folder into model and optimiser, and return its `where`; None if there is none."""
    path = folder / NAME
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:  # type: ignore[no-untyped-call]
            where = json.loads(file.metadata()["where"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dictionary)
        model.load_state_dict({n.removeprefix("model."): t for n, t in tensors.items() if n.startswith("model.")})
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        for index, parameter in enumerate(parameters):
            prefix = f"optimizer.{index}."
            state = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
            if any(t.ndim and t.shape != parameter.shape for t in state.values()):
                raise Damaged(f"{path} has another optimiser state than this run")
            if state:  # of what nothing is asked there is no gradient, and no state
                optimizer.state[parameter] = {n: t.to(parameter.device) for n, t in state.items()}  # fused: steps too
        if not optimizer.state:
            raise Damaged(f"{path} has no optimiser state")
        torch.set_rng_state(tensors["random.cpu"])  # so that dropout goes on where it was
        if torch.cuda.is_available() and "random.cuda" in tensors:
            torch.cuda.set_rng_state(tensors["random.cuda"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise Damaged(f"{path} cannot be read: {str(error).splitlines()[0]}") from error
    return where


def keep(folder: Path, model: nn.Module, config: dict[str, Any]) -> None:
    """Write the weights of a finished run for others to start from: `model.safetensors`, with what they are in `config.json`."""
    tensors = {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
    half_written = folder / (WEIGHTS + ".part")
    try:
        (folder / "config.json").write_text(json.dumps(config))
        half_written.write_bytes(save(tensors))
        os.replace(half_written, folder / WEIGHTS)
    except OSError as error:
        raise Unwritable(error.errno, error.strerror, str(folder / WEIGHTS)) from error


def start_from(folder: Path, model: nn.Module) -> None:
    """Load what `keep` wrote."""
    path = folder / WEIGHTS
    try:
        with safe_open(path, framework="pt") as file:  # type: ignore[no-untyped-call]
            model.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118 (it is no dictionary)
    except (SafetensorError, OSError, RuntimeError) as error:
        raise Damaged(f"{path} cannot be read: {str(error).splitlines()[0]}") from error


def remove(folder: Path) -> None:
    """Delete the checkpoint of a finished run."""
    (folder / NAME).unlink(missing_ok=True)


def _states(optimizer: torch.optim.Optimizer) -> list[dict[str, torch.Tensor]]:
    return [optimizer.state.get(p, {}) for group in optimizer.param_groups for p in group["params"]]
