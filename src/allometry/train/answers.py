"""Which form answers have: graphs where graphs are asked, else tensors."""

from typing import Any

from allometry.graph import Graph
from allometry.train._answers import Answers
from allometry.train._in_graphs import InGraphs
from allometry.train._in_tensors import InTensors

IN_TENSORS, IN_GRAPHS = InTensors(), InGraphs()


def answers_to(asked: Any) -> Answers:
    """How these targets, or the targets of these inputs, are answered."""
    return IN_GRAPHS if isinstance(asked, Graph) else IN_TENSORS
