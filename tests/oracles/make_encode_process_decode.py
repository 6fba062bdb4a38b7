"""Writes encode_process_decode.npz: the demos' EncodeProcessDecode of graph_nets, ten steps, in float32, with its own weights.

    pip install graph-nets==1.1.0 dm-sonnet tensorflow-cpu tensorflow-probability tf-keras
    python tests/oracles/make_encode_process_decode.py

Weights are [inputs, outputs] there; they are written as [outputs, inputs]. The batch has an empty graph, one node alone, parallel
edges and a self-edge. Gradients are of the sum of all steps' answers, each times numbers of its own.
"""

from importlib.metadata import version
from pathlib import Path

import numpy as np
import tensorflow as tf
from graph_nets import graphs
from graph_nets.demos_tf2 import models

N_NODE, N_EDGE = np.array([4, 0, 1, 4]), np.array([4, 0, 0, 5])
SENDERS, RECEIVERS = np.array([0, 2, 0, 1, 6, 8, 5, 8, 7]), np.array([1, 1, 1, 1, 7, 5, 8, 6, 6])
NODES, EDGES, WHOLE, OUTPUTS, STEPS = 5, 1, 1, 2, 10


def main() -> None:
    tf.random.set_seed(0)
    draw = np.random.default_rng(0)
    features = {
        "nodes": draw.normal(size=(N_NODE.sum(), NODES)),
        "edges": draw.normal(size=(N_EDGE.sum(), EDGES)),
        "globals": draw.normal(size=(len(N_NODE), WHOLE)),
        "seed nodes": draw.normal(size=(STEPS, N_NODE.sum(), OUTPUTS)),
        "seed edges": draw.normal(size=(STEPS, N_EDGE.sum(), OUTPUTS)),
    }
    given = {name: array.astype(np.float32) for name, array in features.items()}
    wiring = {"senders": SENDERS, "receivers": RECEIVERS, "n_node": N_NODE, "n_edge": N_EDGE}
    graph = graphs.GraphsTuple(
        **{name: tf.constant(given[name]) for name in ("nodes", "edges", "globals")},
        **{name: tf.constant(array, tf.int32) for name, array in wiring.items()},
    )
    model = models.EncodeProcessDecode(edge_output_size=OUTPUTS, node_output_size=OUTPUTS)
    model(graph, STEPS)  # makes the weights
    for variable in model.trainable_variables:  # theirs start at 0 and 1 where a bias or a scale is: those would test little
        if variable.shape.rank == 1:
            variable.assign_add(0.3 * draw.normal(size=variable.shape).astype(np.float32))
    with tf.GradientTape() as tape:
        answers = model(graph, STEPS)
        loss = sum(
            tf.reduce_sum(getattr(answer, name) * given[f"seed {name}"][step])
            for step, answer in enumerate(answers)
            for name in ("nodes", "edges")
        )
    weights = named(model)
    assert len(weights) == len(model.trainable_variables)
    gradients = tape.gradient(loss, list(weights.values()), unconnected_gradients="zero")
    arrays = {**given, **wiring}
    for name in ("nodes", "edges"):
        arrays[f"answers {name}"] = np.stack([getattr(answer, name).numpy() for answer in answers])
    for (name, variable), gradient in zip(weights.items(), gradients, strict=True):
        arrays[f"weight {name}"] = variable.numpy().T
        arrays[f"gradient {name}"] = gradient.numpy().T
    versions = ", ".join(f"{name} {version(name)}" for name in ("graph_nets", "dm-sonnet", "tensorflow-cpu"))
    place = Path(__file__).with_name("encode_process_decode.npz")
    np.savez_compressed(place, versions=versions, **arrays)
    print(place.stat().st_size, versions, sum(v.numpy().size for v in weights.values()), len(weights))


def named(model: models.EncodeProcessDecode) -> dict[str, tf.Variable]:
    """The weights by the part, the attribute and the layer that they are of."""
    encoder, core, decoder = model._encoder._network, model._core._network, model._decoder._network
    outputs = model._output_transform
    parts = {
        "encoder": (encoder._edge_model, encoder._node_model, encoder._global_model),
        "core": (core._edge_block._edge_model, core._node_block._node_model, core._global_block._global_model),
        "decoder": (decoder._edge_model, decoder._node_model, decoder._global_model),
    }
    found = {}
    for part, three in parts.items():
        for field, block in zip(("edge", "node", "globals"), three, strict=True):
            mlp, norm = inside(block)._layers
            for number, layer in enumerate(mlp._layers):
                found |= {f"{part} {field} {number} weight": layer.w, f"{part} {field} {number} bias": layer.b}
            found |= {f"{part} {field} norm weight": norm.scale, f"{part} {field} norm bias": norm.offset}
    for field, block in (("edges", outputs._edge_model), ("nodes", outputs._node_model)):
        found |= {f"output {field} weight": inside(block).w, f"output {field} bias": inside(block).b}
    return found


def inside(block):
    """A model, or that of graph_nets' wrapper around it."""
    return getattr(block, "_model", block)


if __name__ == "__main__":
    main()
