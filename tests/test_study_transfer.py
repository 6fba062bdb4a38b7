"""A whole study of encoder-decoders with fine-tuning: planned, carried out, resumed, reported."""

import json
import sysconfig
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from warm_workers import warm_workers

from allometry.flow import Refusal
from allometry.progress import Quiet
from allometry.record.status import status
from allometry.record.store import Folder
from allometry.record.table import transfers
from allometry.report.gather import bundle
from allometry.report.page import render
from allometry.study import transfer
from allometry.study.request import Request
from allometry.study.run import run_study

FAMILIES = tuple(f"{Path(__file__).parent / 'tiny.py'}:{name}" for name in ("Summary", "Blind"))
MODULES = tuple(str(path) for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))[:30])


@pytest.fixture(scope="module")
def labelled(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("labelled") / "marked.jsonl"
    generator = np.random.default_rng(0)
    rows = [{"text": f"{generator.integers(10**9)} {word}", "label": word} for word in ("yes", "no") * 150]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def carried_out(request: Request, folder: Path, cache: Path) -> None:
    run_study(request, folder, Quiet(Console(stderr=True)), cache=cache)


def test_a_study_of_pairs_is_fine_tuned_and_goes_on(tmp_path, labelled, monkeypatch) -> None:
    monkeypatch.setattr(transfer, "STEPS", 12)
    warm_workers(monkeypatch)
    request = Request(
        sources=MODULES, families=FAMILIES, objective="span", flops=(2e8,), length=16, seeds=1,
        sizes=3, precision="fp32", jobs=2, downstream=(str(labelled),),
    )  # fmt: skip
    folder = tmp_path / "study"
    carried_out(request, folder, tmp_path / "cache")
    found, known = transfers(Folder(folder)), status(folder)
    assert known["ended"] >= known["planned"]  # more where a rate beyond the grid was tried
    scored = sum(row["planned"] for row in known["families"] if row["stage"] == "score")
    assert len(found) == scored * len(transfer.SHARES)
    assert set(found["status"]) == {"done"}
    content = bundle(folder)
    assert {row["family"] for row in content["downstream"]} == {
        "",
        "Summary",
        "Blind",
    }  # baselines stand beside the families
    assert all(0 <= row["low"] <= row["accuracy"] <= row["high"] <= 1 for row in content["downstream"])
    assert {"F-U", "F-D"} <= {row["measure"] for row in content["alphas"]}
    assert "Downstream accuracy" in render(content)
    # One of the fine-tunings is lost, and the weights of another run are gone: the first is done again, and nothing else.
    first = found.iloc[0]
    (folder / "runs" / first["run"] / "end.json").unlink()
    other = next(parent for parent in found["parent"] if parent != first["parent"])
    (folder / "runs" / other / "model.safetensors").unlink()
    again = request.edit(jobs=1)
    carried_out(again, folder, tmp_path / "cache")
    assert len(transfers(Folder(folder))) == len(found)
    whole = labelled.read_text()
    labelled.write_text(whole.replace('"yes"}', '"no"}', 1))
    with pytest.raises(Refusal, match=r"other labelled texts: .*marked\.jsonl changed since"):
        carried_out(again, folder, tmp_path / "cache")
    labelled.write_text(whole)
    other_sets = request.edit(downstream=())
    with pytest.raises(Refusal, match="another request"):
        carried_out(other_sets, folder, tmp_path / "cache")


def test_what_cannot_be_asked_is_refused_in_a_line(tmp_path, labelled, monkeypatch) -> None:
    warm_workers(monkeypatch)
    causal = Request(sources=MODULES, families=("funnel_transformer", "lstm"), flops=(5e8,), length=16)
    with pytest.raises(Refusal, match="Use --objective span"):
        carried_out(causal, tmp_path / "a", tmp_path / "cache")
    with pytest.raises(Refusal, match="Use --objective causal"):
        carried_out(causal.edit(families=("lstm",), objective="span"), tmp_path / "b", tmp_path / "cache")
    with pytest.raises(Refusal, match="no file"):
        carried_out(causal.edit(families=("lstm",), downstream=("nowhere.jsonl",)), tmp_path / "c", tmp_path / "cache")
    with pytest.raises(Refusal, match="objective"):
        causal.edit(objective="masked")
    with pytest.raises(Refusal, match="scale"):
        causal.edit(scale="heads")
    assert "--objective span" in causal.edit(objective="span", downstream=(str(labelled),)).command()
