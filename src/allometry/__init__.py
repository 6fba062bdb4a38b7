"""allometry: how neural-network architectures scale, what they assume, and what their parts can compute.

The names below load what they need when they are first used (PEP 562): importing the package imports no torch.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# public name -> (module, name there; None is the module itself)
_PUBLIC: dict[str, tuple[str, str | None]] = {
    "Spec": ("allometry.spec", "Spec"),
    "Tokens": ("allometry.flow", "Tokens"),
    "Series": ("allometry.flow", "Series"),
    "graph_networks": ("allometry.model.graph_network.variants", None),
    "Graphs": ("allometry.flow", "Graphs"),
    "Graph": ("allometry.graph", "Graph"),
    "graph": ("allometry.graph", None),  # this and three below are stages that can be called, always: see `stage`
    "batch": ("allometry.graph", "batch"),
    "Quark": ("allometry.quark", "Quark"),
    "GraphBlock": ("allometry.model.graph_network._block", "GraphBlock"),
    "GraphStack": ("allometry.model.graph_network.stack", "GraphStack"),
    "EncodeProcessDecode": ("allometry.model.graph_network.encode_process_decode", "EncodeProcessDecode"),
    "RecurrentGraphNetwork": ("allometry.model.graph_network.recurrent", "RecurrentGraphNetwork"),
    "Refusal": ("allometry.flow", "Refusal"),
    "TooFar": ("allometry.flow", "TooFar"),
    "Family": ("allometry.model._family", "Family"),
    "SequenceFamily": ("allometry.model._stack", "SequenceFamily"),
    "ClosedForm": ("allometry.model._family", "ClosedForm"),
    "chrono_": ("allometry.model.chrono", "chrono_"),
    "timescales": ("allometry.probe.time_scales", "timescales"),
    "census": ("allometry.probe.census", "census"),
    "count": ("allometry.train.meter", "count"),
    "fit": ("allometry.fit", None),
    "Criterion": ("allometry.fit.criterion", "Criterion"),
    "load_fits": ("allometry.fit.saved", "load_fits"),
    "share": ("allometry.fit.sharing", "share"),
    "speedup": ("allometry.fit.speedup", "speedup"),
    "split": ("allometry.fit.optimum", "split"),
    "compute_for": ("allometry.fit.optimum", "compute_for"),
    "tokens_for": ("allometry.fit.optimum", "tokens_for"),
    "approaches": ("allometry.fit.approaches", "approaches"),
    "isoflop": ("allometry.fit.isoflop", "isoflop"),
    "rollout": ("allometry.fit.rollout", "rollout"),
    "two_step": ("allometry.fit.two_step", "two_step"),
    "extrapolate": ("allometry.fit.curves.extrapolate", "extrapolate"),
    "capacity": ("allometry.capacity", None),
    "audit": ("allometry.fit.audit.audit", "audit"),
    "decide": ("allometry.fit.ask.decide", "decide"),
    "next_runs": ("allometry.fit.ask.next_runs", "next_runs"),
    "winners": ("allometry.fit.ask.winners", "winners"),
    "winner": ("allometry.fit.ask.questions", "winner"),
    "exponent": ("allometry.fit.ask.questions", "exponent"),
    "loss_at": ("allometry.fit.ask.questions", "loss_at"),
    "compare": ("allometry.fit.compare", "compare"),
    "calibrate": ("allometry.api", "calibrate"),
    "Request": ("allometry.study.request", "Request"),
    "experiment": ("allometry.api", "experiment"),
    "Generated": ("allometry.data._generated", "Generated"),
    "Experiment": ("allometry.study.experiment", "Experiment"),
    "Arm": ("allometry.study.experiment", "Arm"),
    "OtherTask": ("allometry.study.experiment", "OtherTask"),
    "Expectation": ("allometry.study.experiment", "Expectation"),
    "Recipe": ("allometry.train.recipe", "Recipe"),
    "Rmsprop": ("allometry.train.rmsprop", "Rmsprop"),
    "OneLayer": ("allometry.model.one_layer", "OneLayer"),
    "study": ("allometry.study", None),
    "runs": ("allometry.api", "runs"),
    "family": ("allometry.api", "family"),
    "task": ("allometry.api", "task"),
}
__all__ = sorted([*_PUBLIC, "__version__"])


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"allometry has no '{name}'. It has: {', '.join(__all__)}.")
    place, attribute = _PUBLIC[name]
    module = import_module(place)
    return module if attribute is None else getattr(module, attribute)


def __dir__() -> list[str]:
    return __all__
