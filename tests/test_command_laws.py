"""The verbs for anybody's table: fit with its options, predict, audit, decide, next, extrapolate; and what is asked wrongly."""

# ruff: noqa: N806 - N, D and A are the letters of the field

import functools
import json

import numpy as np
import pandas as pd
import pytest
from commands import in_process

from allometry import fit

ROLES = ["--c", "flops", "--loss", "final", "--by", "arch"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Tables of known laws in a stranger's column names: `better` needs half the compute of `worse`."""
    folder = tmp_path_factory.mktemp("tables")
    generator = np.random.default_rng(0)
    flops = np.geomspace(1e17, 1e20, 8)
    rows = []
    for arch, A in (("worse", 30.0), ("better", 30.0 * 2**-0.08)):
        loss = (1.7 + A * flops**-0.08) * np.exp(0.0005 * generator.standard_normal(len(flops)))
        rows.append(pd.DataFrame({"arch": arch, "flops": flops, "final": loss}))
    pd.concat(rows).to_csv(folder / "runs.csv", index=False)
    fit(pd.concat(rows, ignore_index=True), by="arch", columns={"C": "flops", "loss": "final"}).save(folder / "fit.json")
    pd.concat(rows).to_json(folder / "runs.jsonl", orient="records", lines=True)
    pd.concat(rows).to_parquet(folder / "runs.parquet")
    N, D = (axis.ravel() for axis in np.meshgrid(np.geomspace(1e7, 1e9, 6), np.geomspace(1e9, 1e11, 6)))
    loss = (1.8 + 480 * N**-0.35 + 2100 * D**-0.37) * np.exp(0.001 * generator.standard_normal(len(N)))
    pd.DataFrame({"params": N, "tokens": D, "final": loss}).to_csv(folder / "sizes.csv", index=False)
    steps = np.geomspace(10, 1000, 30)
    pd.DataFrame({"run": "one", "steps": steps, "loss": 1 + steps**-0.5}).to_csv(folder / "curves.csv", index=False)
    (folder / "mine.py").write_text(
        "def law(flops, E=1.0, A=(10.0, 100.0), alpha=0.1):\n    return E + A * flops**-alpha\n\n\n"
        "def bad(flops, E=1.0):\n    raise ValueError('boom')\n"
    )
    (folder / "half.json").write_text('{"format": 1, "fits": []}')
    return folder


@pytest.fixture
def command(folder, monkeypatch, capfd):
    return functools.partial(in_process, folder, monkeypatch, capfd)


def read(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_one_table_in_three_forms_gives_one_fit(command):
    found = [read(command("fit", f"runs.{form}", *ROLES, "--json"))["fits"] for form in ("csv", "jsonl", "parquet")]
    alphas = [[fit["parameters"]["alpha"] for fit in fits] for fits in found]
    for other in alphas[1:]:
        for one, same in zip(alphas[0], other, strict=True):
            assert one["value"] == pytest.approx(same["value"], rel=1e-6)


def test_a_saved_fit_says_the_same(command):
    here = read(command("fit", "runs.csv", *ROLES, "--save", "again.json", "--at", "3e20", "--json"))["predictions"]
    later = read(command("predict", "again.json", "--at", "3e20", "--json"))["predictions"]
    assert here == later
    truth = 1.7 + 30.0 * 3e20**-0.08
    assert here[0]["low"] < truth < here[0]["high"]


def test_pinned_shared_and_tested(command):
    content = read(command("fit", "runs.csv", *ROLES, "--share", "E,alpha", "--json"))
    one, other = (fit["parameters"] for fit in content["fits"])
    assert one["E"] == other["E"]
    assert one["alpha"] == other["alpha"]
    assert content["sharing"]["distinguishable"] is False
    held = read(command("fit", "runs.csv", *ROLES, "--pin", "E=1.7", "--source", "a paper", "--json"))["fits"][0]
    assert held["parameters"]["E"]["value"] == 1.7
    assert held["source"] == "a paper"
    assert abs(held["parameters"]["alpha"]["value"] - 0.08) < 0.002


def test_the_speedup_that_was_put_in_is_found(command):
    command("fit", "runs.csv", *ROLES, "--share", "E,alpha", "--save", "joint.json")
    found = read(command("predict", "joint.json", "--speedup", "worse,better", "--compute", "1e20", "--json"))["speedup"]
    assert found["low"] < found["value"] < found["high"]
    assert (
        abs(found["value"] - 2.0) < 0.1
    )  # one draw of runs: how often the interval holds 2 is for benchmarks/fit_coverage.py
    assert found["verdict"] == "better"


def test_the_compute_for_a_loss(command):
    truth = 1.7 + 30.0 * 5e19**-0.08
    split = read(command("predict", "fit.json", "--loss", str(truth), "--json"))["splits"][0]
    assert abs(np.log(split["C"][0] / 5e19)) < 0.1
    assert split["C"][1] < split["C"][0] < split["C"][2]


def test_what_stands_beside_a_fit_has_its_options(command, folder):
    table = pd.read_csv(folder / "runs.csv").assign(tokenizer=lambda frame: frame.index % 2)
    table.to_csv(folder / "mixed.csv", index=False)
    done = command("fit", "mixed.csv", *ROLES, "--mixed", "--share", "alpha", "--rollout", "power", "--json")
    assert {"sharing", "rollout"} <= set(read(done))


def test_an_end_without_bound_is_null(command, folder):
    """Few noisy runs: some draws have their floor above the loss that is asked for."""
    C = np.geomspace(1e17, 1e19, 6)
    loss = (1.7 + 30.0 * C**-0.08) * np.exp(0.01 * np.random.default_rng(3).standard_normal(6))
    fits = fit(pd.DataFrame({"C": C, "loss": loss}), by=None, draws=100)
    fits.save(folder / "wide.json")
    floors = fits["all"].samples["E"]
    loss = (max(floors[0], float(np.quantile(floors, 0.9))) + fits["all"].at(C=1e19)[0]) / 2
    done = command("predict", "wide.json", "--loss", str(loss), "--reach", "1e30", "--json")
    assert read(done)["splits"][0]["C"][2] is None
    assert "unbounded" in command("predict", "wide.json", "--loss", str(loss), "--reach", "1e30").stdout


def test_what_cannot_be_tested_does_not_lose_the_fit(command, folder):
    """Three runs for each group fit a law with a shared floor; each group's own doubt, or a roll-out, needs more."""
    table = pd.read_csv(folder / "runs.csv").groupby("arch").head(3)
    table.to_csv(folder / "few.csv", index=False)
    asked = ["fit", "few.csv", *ROLES, "--share", "E", "--rollout", "power_floor", "--save", "few.json"]
    content = read(command(*asked, "--json"))
    assert "has 3 runs for 3 parameters" in content["sharing"]["text"]
    assert "more points than parameters" in content["rollout"]["text"]
    assert len(content["fits"]) == 2
    shown = command(*asked, "--report", "few.html")
    assert shown.returncode == 0, shown.stderr
    assert "has 3 runs for 3 parameters" in shown.stdout
    (folder / "few.json").unlink()
    assert command(*asked, "--at", "1e30").returncode == 2
    assert (folder / "few.json").exists()


def test_the_best_size_and_back(command):
    read(command("fit", "sizes.csv", "--law", "chinchilla", "--n", "params", "--d", "tokens", "--loss", "final",
                 "--save", "sizes.json", "--approaches", "--json"))  # fmt: skip
    best = read(command("predict", "sizes.json", "--compute", "1e20", "--json"))["splits"][0]
    back = read(command("predict", "sizes.json", "--loss", str(best["loss"][0]), "--json"))["splits"][0]
    assert back["C"][0] == pytest.approx(1e20, rel=1e-3)
    assert back["N"][0] == pytest.approx(best["N"][0], rel=1e-3)
    tokens = read(
        command("predict", "sizes.json", "--loss", str(best["loss"][0]), "--parameters", str(best["N"][0]), "--json")
    )["splits"][0]
    assert tokens["D"][0] == pytest.approx(best["D"][0], rel=1e-3)


def test_a_law_of_ones_own(command):
    content = read(command("fit", "runs.csv", "--law", "mine.py:law", "--by", "arch", "--loss", "final",
                           "--column", "flops=flops", "--save", "own.json", "--json"))  # fmt: skip
    assert abs(content["fits"][0]["parameters"]["alpha"]["value"] - 0.08) < 0.01
    assert command("predict", "own.json", "--at", "1e20").returncode == 2  # the law is not in the file
    read(command("predict", "own.json", "--at", "1e20", "--law", "mine.py:law", "--json"))


def test_questions(command):
    audit = read(command("audit", "runs.csv", *ROLES, "--draws", "100", "--json"))
    assert audit["verdict"]["leader"] == "better"
    decided = read(command("decide", "runs.csv", *ROLES, "--at", "3e20", "--json"))["pairs"][0]
    assert decided["verdict"] == "better"
    assert decided["probability"] < 0.05
    proposed = read(command("next", "fit.json", "--winner-at", "1e20", "--budget", "1e20", "--json"))
    assert proposed["proposals"]
    assert proposed["cost"] <= 1e20 * (1 + 1e-6)
    assert proposed["proposals"][0]["doubt_after"] < proposed["proposals"][0]["doubt_before"]


def test_a_curve_goes_on(command):
    row = read(command("extrapolate", "curves.csv", "--x", "steps", "--at", "3000", "--json"))["predictions"][0]
    assert row["low"] < 1 + 3000**-0.5 < row["high"]
    assert abs(row["value"] / (1 + 3000**-0.5) - 1) < 0.01


@pytest.mark.parametrize(
    "words",
    [
        ["fit", "runs.csv", *ROLES, "--at", "3e20", "--rollout", "power,power_floor"],
        ["predict", "fit.json", "--at", "1e20"],
        ["audit", "runs.csv", *ROLES, "--draws", "100"],
        ["decide", "runs.csv", *ROLES, "--at", "1e20"],
        ["next", "fit.json", "--parameter", "alpha", "--group", "worse"],
        ["extrapolate", "curves.csv", "--x", "steps", "--at", "3000"],
    ],
    ids=lambda words: words[0],
)
def test_the_terminal_shows_it_within_its_width(command, words):
    done = command(*words)
    assert done.returncode == 0, done.stderr
    table = [line for line in done.stdout.splitlines() if line.startswith(" ─")]
    assert table
    assert max(map(len, table)) <= 100
    assert "nan" not in done.stdout


def test_the_page_of_fits_is_whole(command, folder):
    content = read(command("fit", "runs.csv", *ROLES, "--at", "3e20", "--report", "fit.html", "--json"))
    text = (folder / "fit.html").read_text()
    assert content["report"].endswith("fit.html")
    assert all(arch in text for arch in ("worse", "better"))
    assert "http://" not in text.split("<script>")[0]


WRONG = {
    "pinned to nothing": (["fit", "runs.csv", *ROLES, "--pin", "E=nan"], "pinned E = nan"),
    "pinned below zero": (["fit", "runs.csv", *ROLES, "--pin", "E=-1"], "outside of what power_floor allows"),
    "pinned above the losses": (["fit", "runs.csv", *ROLES, "--pin", "E=9"], "is not below the lowest loss"),
    "all pinned": (
        ["fit", "runs.csv", *ROLES, "--pin", "E=1", "--pin", "A=1", "--pin", "alpha=.1"],
        "nothing is left to fit",
    ),
    "noise": (["fit", "runs.csv", *ROLES, "--noise", "-1"], "noise=-1"),
    "reach": (["fit", "runs.csv", *ROLES, "--reach", "nan"], "reach=nan"),
    "seed": (["fit", "runs.csv", *ROLES, "--seed", "-1"], "seed=-1"),
    "seed of decide": (["decide", "runs.csv", *ROLES, "--at", "1e20", "--seed", "-1"], "seed=-1"),
    "seed of audit": (["audit", "runs.csv", *ROLES, "--seed", "-1"], "seed=-1"),
    "reach of decide": (["decide", "runs.csv", *ROLES, "--at", "1e20", "--reach", "0"], "reach=0"),
    "reach of predict": (["predict", "fit.json", "--at", "1e20", "--reach", "0"], "reach=0"),
    "reach of next": (["next", "fit.json", "--winner-at", "1e20", "--reach", "0"], "reach=0"),
    "reach of a curve": (["extrapolate", "curves.csv", "--x", "steps", "--at", "3000", "--reach", "nan"], "reach=nan"),
    "place twice": (["next", "fit.json", "--winner-at", "C=1e21,C=1e20"], "gives C twice"),
    "predicted twice": (["predict", "fit.json", "--at", "C=1e20,C=3e20"], "gives C twice"),
    "half a place": (["next", "fit.json", "--winner-at", "C=1e20,3"], "name every variable or none"),
    "no loss": (["predict", "fit.json", "--loss", "0"], "loss = 0 is no loss"),
    "tokens of a law of C": (["predict", "fit.json", "--loss", "2.4", "--parameters", "1e8"], "Fit law='chinchilla'"),
    "parameters for nothing": (["predict", "fit.json", "--at", "1e20", "--parameters", "1e8"], "goes with --loss"),
    "no loss of a speedup": (["predict", "fit.json", "--speedup", "worse,better", "--loss", "nan"], "loss = nan is no loss"),
    "roll-out of no law": (["fit", "runs.csv", *ROLES, "--rollout", "powr"], "Did you mean 'power'"),
    "no delta": (["fit", "runs.csv", *ROLES, "--delta", "nan"], "delta=nan"),
    "a law that fails": (["fit", "runs.csv", "--law", "mine.py:bad", "--by", "arch", "--loss", "final"], "boom"),
    "folder": (["fit", "."], "is a folder without a study"),
    "at zero": (["predict", "fit.json", "--at", "0"], "is no place on a law"),
    "below the floor": (["predict", "fit.json", "--loss", "0.1"], "no compute reaches it"),
    "no speedup there": (["predict", "fit.json", "--speedup", "worse,better", "--loss", "0.1"], "no compute reaches it"),
    "binary fit": (["predict", "runs.parquet", "--at", "1"], "is not a saved fit"),
    "half a fit": (["predict", "half.json", "--at", "1"], "is not a saved fit"),
    "two places": (["decide", "runs.csv", *ROLES, "--at", "1e20,3e20"], "one place takes 1 numbers"),
    "decided too far": (["decide", "runs.csv", *ROLES, "--at", "1e25"], "beyond the largest run"),
    "measured already": (["extrapolate", "curves.csv", "--x", "steps", "--at", "20"], "which is measured"),
    "pin": (["fit", "runs.csv", *ROLES, "--pin", "E"], "--pin E is not NAME=VALUE"),
    "pinned number": (["fit", "runs.csv", *ROLES, "--pin", "E=low"], "--pin"),
    "pinned name": (["fit", "runs.csv", *ROLES, "--pin", "Z=1"], "does not have"),
    "share": (["fit", "runs.csv", *ROLES, "--share", "A"], "cannot be shared"),
    "law": (["fit", "runs.csv", "--law", "powr"], "Did you mean 'power'"),
    "column": (["fit", "runs.csv", "--c", "flop", "--loss", "final", "--by", "arch"], "flops"),
    "delta": (["fit", "runs.csv", *ROLES, "--delta", "-1"], "delta"),
    "far": (["fit", "runs.csv", *ROLES, "--at", "1e25"], "answers up to 10 times"),
    "no question": (["predict", "fit.json"], "needs a question"),
    "no fit": (["predict", "runs.csv", "--at", "1"], "is not a saved fit"),
    "mixed place": (["predict", "fit.json", "--at", "C=1e20,3"], "name every variable or none"),
    "speedup": (["predict", "fit.json", "--speedup", "worse"], "name two groups"),
    "not of N and D": (["predict", "fit.json", "--compute", "1e20"], "Fit law='chinchilla'"),
    "no groups": (["decide", "sizes.csv", "--n", "params", "--d", "tokens", "--loss", "final", "--at", "1e19"], "family"),
    "place": (["decide", "runs.csv", *ROLES, "--at", "there"], "--at there"),
    "two questions": (["next", "fit.json", "--winner-at", "1e20", "--parameter", "alpha"], "needs one question"),
    "which group": (["next", "fit.json", "--parameter", "alpha"], "name it with --group"),
    "no such group": (["next", "fit.json", "--parameter", "alpha", "--group", "worst"], "There is no fit of 'worst'"),
    "no column of steps": (["extrapolate", "curves.csv", "--at", "3000"], "tokens"),
    "curve too far": (["extrapolate", "curves.csv", "--x", "steps", "--at", "1e9"], "Train further"),
    "audit of nothing": (["audit", "curves.csv"], "has no column"),
    "too many studies": (["calibrate", "--studies", "1000", "--out", "cal"], "--studies 1000"),
    "no bill": (["calibrate", "--bill", "1", "--out", "cal"], "--bill 1"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_asked_wrongly_is_answered_in_one_line(case, command):
    words, said = WRONG[case]
    done = command(*words)
    assert done.returncode == 2, done.stdout + done.stderr
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
