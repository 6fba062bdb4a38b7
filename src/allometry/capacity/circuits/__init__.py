"""Circuits, one family of them in a file; the name of a file is the name of the circuit."""
