"""Functions wired by hand from units and gates, exactly: what a gate saves in units, synapses and depth.

`python -m allometry.wiring` prints the table of `docs/gates.md`. Nothing here imports torch.
"""
