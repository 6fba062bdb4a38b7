"""A study as a file: `allometry run examples/own_study.py`. What it asks is a value that can be read, kept and changed.

Question: does a plain GRU keep up with an LSTM in residual layers on Python code?
Expectation: no; without the feed-forward parts it has less depth for the same parameters.
Cost: 5 minutes on two cores.
"""

from pathlib import Path

from allometry import Request

GRU = str(Path(__file__).parent / "own_family.py") + ":Gru"

study = Request(families=("lstm", GRU), minutes=5)
