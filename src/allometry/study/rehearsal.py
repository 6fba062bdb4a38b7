"""Every test of an experiment once, before any training: one that a network cannot take is found now, not after hours."""

from typing import Any

import torch
from torch import nn

from allometry.data._task import Task
from allometry.flow import IO, Graphs, Refusal, in_words
from allometry.graph import batch
from allometry.model._family import Family
from allometry.study.experiment import Experiment
from allometry.train.example import Inputs, Targets, built, counted_on, example
from allometry.train.meter import tried

Asked = tuple[Inputs, Targets]


def rehearse(experiment: Experiment) -> None:
    """Raises Refusal for the first test that cannot be made.

    Graphs are the smallest and the largest of those that are scored, as what a network has no room for is large. Of anything else
    an example of its length is enough: it has no other shape, and costs nothing on the meta device.
    """
    known: set[tuple[Family, IO, Task]] = set()
    examples: dict[Task, Asked] = {}
    for arm in experiment.arms:
        models: dict[tuple[Family, IO], nn.Module] = {}
        for test in arm.tests:
            task: Any = test.task
            model: Any = (arm.model, arm.io) if test.model is None else (test.model, task.io)
            if (*model, task) in known or (model == (arm.model, task.io) and not isinstance(task.io, Graphs)):
                continue  # what has been tried, and what the arm was counted on
            known.add((*model, task))
            try:
                if model not in models:
                    models[model] = _built(*model)
                if task not in examples:
                    examples[task] = _examples(task, experiment.sequences)
                tried(models[model], *examples[task], counted_on(task.io))
            except Exception as error:  # whatever a network or a task of the user's own may raise
                says = str(error) if isinstance(error, Refusal) else f"{in_words(error)}."
                raise Refusal(f"{arm.name}: its test {test.name!r} cannot be made. {says}") from error


def _built(family: Family, io: IO) -> nn.Module:
    with torch.random.fork_rng(devices=()), torch.device(counted_on(io)):
        return built(family, io)


def _examples(task: Task, sequences: int) -> Asked:
    if not isinstance(task.io, Graphs):
        return example(task.io, 1)
    held_out = task.held_out(sequences)
    graphs, answers = held_out.inputs[0], held_out.targets
    ends = int(graphs.n_node.argmin()), int(graphs.n_node.argmax())
    inputs = batch([graphs[place] for place in ends])
    return (inputs,), batch([answers[place] for place in ends]).edit(wiring=inputs.wiring)
