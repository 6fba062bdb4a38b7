"""The verb census: a family, a user's module, what is asked wrongly; the table, the JSON and the page."""

import functools
import json
import re

import pytest
from commands import in_process

BUILD = """
import torch
from torch import nn

@torch.library.custom_op("tests_census_command::squared", mutates_args=())
def squared(x: torch.Tensor) -> torch.Tensor:
    return x * x

class Odd(nn.Module):
    def forward(self, x):
        return squared(x)

def gated():
    return nn.Sequential(nn.Linear(6, 10), nn.GLU())

def with_example():
    return nn.Sequential(nn.Linear(6, 10), nn.GLU()), torch.zeros(3, 6)

def reads_tokens():
    return nn.Sequential(nn.Embedding(9, 6), nn.Linear(6, 10), nn.GLU())

def wide():
    names = nn.ModuleDict({"a_module_with_a_long_name": nn.ModuleDict({"gate": nn.Linear(1000, 2000)})})
    names.forward = lambda x: nn.functional.glu(names["a_module_with_a_long_name"]["gate"](x)) + x
    return names

def odd():
    return nn.Sequential(nn.Linear(6, 6), Odd())

def nothing():
    return 3

def broken():
    raise KeyError("width")

def ends():
    raise SystemExit(3)

class Constant(nn.Module):
    def forward(self, x):
        return torch.ones(3)

class Ends(nn.Module):
    def forward(self, x):
        raise SystemExit(4)
"""


@pytest.fixture
def command(tmp_path, monkeypatch, capfd):
    (tmp_path / "mine.py").write_text(BUILD)
    return functools.partial(in_process, tmp_path, monkeypatch, capfd)


def read(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_family_is_counted_in_a_table_and_in_json(command):
    size = ["--size", "1", "--length", "6", "--vocab", "8"]
    found = read(command("census", "transformer", *size, "--json"))
    shown = command("census", "transformer", *size, "--depth", "2")
    assert found["complete"]
    assert (found["size"], found["io"]["vocab"], found["io"]["length"], found["example"]) == (1, 8, 6, [[1, 6]])
    assert "on one sequence of 6 tokens of 8 symbols, size 1; torch " in shown.stdout
    assert found["total"]["gating_ops"] > found["total"]["unmasked_gating_ops"] > 0
    assert f"{found['total']['gating_ops']:,}" in shown.stdout
    assert sum(row["gating_ops"] for row in found["own"]) == found["total"]["gating_ops"]
    assert "decoder.layers" in shown.stdout
    assert "decoder.layers.0" not in shown.stdout


COLUMNS = {
    "gate signals": "gate_signals", "gating ops": "gating_ops", "unmasked": "unmasked_gating_ops",
    "gated synapses": "gated_synapses", "additive": "additive", "static": "static_mults", "parameters": "parameters",
}  # fmt: skip


@pytest.mark.parametrize("columns", [None, 160, 80, 40])
def test_every_number_that_is_printed_is_the_one_of_the_json(command, columns):
    """In a pipe, a wide terminal, one of 80 characters, and one where the names alone are too long."""
    wide = ["mine.py:wide", "--input", "999,1000"]
    found = read(command("census", *wide, "--json", columns=columns))
    shown = command("census", *wide, columns=columns).stdout
    _, left, said = shown.partition("Left out for want of width: ")
    dropped = " ".join(said.partition(".")[0].split()).split(", ") if left else []
    expected = [name for name in COLUMNS if name not in dropped]
    rows = {"total": found["total"]} | {row["module"]: row for row in found["modules"]}
    printed = {
        line.split()[0]: line.split()[1:] for line in shown.splitlines() if line.split()[:1] and line.split()[0] in rows
    }
    assert printed == {path: [f"{row[COLUMNS[name]]:,}" for name in expected] for path, row in rows.items()}
    assert {"gate signals", "gating ops"} <= set(expected)
    assert len(expected) == {None: 7, 160: 7, 80: 4, 40: 2}[columns]
    assert max(map(len, printed)) > 20


@pytest.mark.parametrize(
    ("words", "operations", "on"),
    [
        (["gated", "--input", "2,6"], 10, "random numbers, 2 x 6"),
        (["with_example"], 15, "its own example, 3 x 6"),
        (["reads_tokens", "--vocab", "9", "--length", "4"], 20, "one sequence of 4 tokens of 9 symbols"),
    ],
)
def test_a_users_module_is_counted(command, words, operations, on):
    found = read(command("census", f"mine.py:{words[0]}", *words[1:], "--json"))
    assert found["on"] == on
    assert (found["total"]["gating_ops"], found["total"]["parameters"] >= 70) == (operations, True)


def test_an_unknown_operation_is_said_and_the_page_shows_it(command, tmp_path):
    done = command("census", "mine.py:odd", "--input", "2,6", "--out", "census.html")
    assert done.returncode == 0, done.stderr
    assert "not counted: tests_census_command::squared at 1 (1x)" in done.stdout
    page = (tmp_path / "census.html").read_text()
    assert "1 operation that the census could not follow" in re.sub(r"<[^>]+>", "", page)
    assert "Counted on random numbers, 2 x 6, by torch " in page
    assert 'data-figure="census"' in page
    assert page.count("<table>") == 2


def test_an_output_that_nothing_reaches_is_said(command):
    assert "output: no signal is seen to reach it" in command("census", "mine.py:Constant").stdout


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["transfomer"], "Did you mean 'transformer'"),
        (["transformer", "--input", "2,6"], "says itself what it reads"),
        (["graph_network", "--length", "9"], "--length 9 does not apply: graph_network reads no tokens, but Graphs"),
        (
            ["mine.py:with_example", "--input", "2,6"],
            "--input 2,6 does not apply: mine.py:with_example gives a module and its",
        ),
        (["mine.py:with_example", "--length", "9"], "--length 9 does not apply"),
        (["mine.py:gated", "--size", "7"], "--size 7 does not apply: mine.py:gated is a module"),
        (["mine.py:gated", "--input", "2,6", "--length", "256"], "--length 256 does not apply: --input 2,6 are numbers"),
        (["mine.py:gated", "--input", "2,6", "--vocab", "9"], "--vocab 9 does not apply"),
        (["transformer", "--length", "0"], "at least 1 token"),
        (["transformer", "--length", "2000000000"], "16,000,000,000 GB of scores"),
        (["transformer", "--length", str(2**14 + 1)], "1 GB of scores for each head. Give at most 16,384"),
        (["transformer", "--vocab", "100000000000000"], "perhaps it is too large: RuntimeError"),
        (["transformer", "--vocab", str(10**30)], "perhaps it is too large"),
        (["transformer", "--depth", "0"], "a depth of at least 1"),
        (["transformer", "--out", "."], ". is a folder"),
        (["transformer", "--out", "nowhere/page.html"], "no folder nowhere"),
        (["mine.py:ends"], "ends the program (SystemExit: 3)"),
        (["mine.py:Ends"], "ends the program (SystemExit: 4)"),
        (["mine.py:gated", "--input", "inf"], "--input inf is no shape"),
        (["mine.py:gated", "--input", "nan"], "--input nan is no shape"),
        (["mine.py:gated", "--input", "1e30,6"], "--input 1e30,6 is no shape"),
        (["mine.py:gated", "--input", "2.7,6"], "--input 2.7,6 is no shape"),
        (["mine.py:gated", "--input", "2,0"], "--input 2,0 is no shape"),
        (
            ["mine.py:gated", "--input", "100000000000,6"],
            "100000000000 x 6 cannot be made; perhaps it is too large: RuntimeError",
        ),
        (["mine.py:gated", "--input", f"{10**30},6"], "perhaps it is too large"),
        (["mine.py:reads_tokens", "--vocab", str(10**30)], "perhaps it is too large"),
        (["mine.py:nothing"], "gives int, which is no module"),
        (["mine.py:broken"], "cannot be built: KeyError: 'width'"),
        (["mine.py:gated", "--input", "2,x"], "--input 2,x"),
        (["mine.py:gated", "--input", "2,7"], "does not run on the example"),
    ],
)
def test_what_is_asked_wrongly_is_refused_in_one_line(command, words, reason):
    done = command("census", *words)
    assert done.returncode == 2
    assert reason in done.stderr
    assert done.stderr.count("\n") == 1
