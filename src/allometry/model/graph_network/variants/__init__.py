"""The graph network's special cases, each a few lines that say which parts of `GraphBlock` it has: `al.graph_networks`.

A variant is called with its learned functions, any modules: `mpnn(Mlp([64, 64]), Gru(64), Mlp([1]))`. docs/relations.md has a
table of them. Beside the variants stand what their parts are made of, and what runs a network along a sequence of graphs:
`unrolled`, where graphs are given, and `rollout`, where each follows from the answer before.
"""

from allometry.model.graph_network._reduce import Attention, PrincipalNeighbourhood
from allometry.model.graph_network._update import Gru, Lstm, Mlp
from allometry.model.graph_network.independent import IndependentRecurrent
from allometry.model.graph_network.recurrent import unrolled
from allometry.model.graph_network.rollout import rollout
from allometry.model.graph_network.variants.attention import (
    attention_weights,
    gat,
    nlnn,
    relative_positions,
    self_attention,
    vain,
)
from allometry.model.graph_network.variants.messages import (
    comm_net,
    full,
    gcn,
    ggs_nn,
    interaction_network,
    mpnn,
    structure2vec,
)
from allometry.model.graph_network.variants.sets import (
    GatedSum,
    deep_set,
    independent,
    independent_recurrent,
    point_net,
    relation_network,
)

__all__ = [
    "Attention",
    "GatedSum",
    "Gru",
    "IndependentRecurrent",
    "Lstm",
    "Mlp",
    "PrincipalNeighbourhood",
    "attention_weights",
    "comm_net",
    "deep_set",
    "full",
    "gat",
    "gcn",
    "ggs_nn",
    "independent",
    "independent_recurrent",
    "interaction_network",
    "mpnn",
    "nlnn",
    "point_net",
    "relation_network",
    "relative_positions",
    "rollout",
    "self_attention",
    "structure2vec",
    "unrolled",
    "vain",
]
