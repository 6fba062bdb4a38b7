"""A saved Fit: JSON with the draws, that loads again and predicts. Nothing in the file is run."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from allometry.find import resolve
from allometry.fit import refusals
from allometry.fit.criterion import Criterion
from allometry.fit.diagnosis import Diagnosis
from allometry.fit.fits import Fit, Fits
from allometry.fit.laws._law import Law
from allometry.fit.own import law_of
from allometry.flow import Refusal
from allometry.spec import from_json

FORMAT = 1


def write(fits: Fits, path: Path) -> Path:
    """Write fits with their draws, the criterion and what they were made from; the table itself is not kept."""
    content = {"format": FORMAT, "unit": fits.unit, "notes": list(fits.notes), "fits": [_fit_to_json(fit) for fit in fits]}
    path.write_text(json.dumps(content, allow_nan=True))
    return path


def load_fits(path: str | Path, law: Any = None) -> Fits:
    """Read what `Fits.save` wrote. A user's own law is not in the file: give the same one as `law`."""
    place = Path(path)
    if not place.is_file():
        raise Refusal(f"There is no saved fit at {place}. Make one with Fits.save(path), or allometry fit --save.")
    try:
        content = json.loads(place.read_text())
        if content["format"] != FORMAT:
            raise Refusal(f"{place} has format {content['format']}; this version reads {FORMAT}. Fit the table again.")
        fits = {row["group"]: _fit_from_json(row, law) for row in content["fits"]}
        unit, notes = str(content["unit"]), tuple(str(note) for note in content["notes"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, Refusal):
            raise
        raise Refusal(
            f"{place} is not a saved fit ({type(error).__name__}: {error}). Make one with Fits.save(path), or allometry fit --save."
        ) from error
    return Fits(fits=fits, unit=unit, notes=notes, source=pd.DataFrame())


def _fit_to_json(fit: Fit) -> dict[str, Any]:
    return {
        "group": fit.group,
        "law": fit.law.to_json(),
        "name": fit.law.name,
        "own": not type(fit.law).__module__.startswith("allometry.fit.laws."),
        "equation": fit.equation,
        "samples": {name: sample.tolist() for name, sample in fit.samples.items()},
        "objective": fit.objective,
        "points": fit.points,
        "range": fit.range,
        "reach": fit.reach,
        "level": fit.level,
        "method": fit.method,
        "findings": [[type(finding).__name__, str(finding)] for finding in fit.findings],
        "criterion": fit.criterion.to_json() if fit.criterion else None,
        "diagnosis": fit.diagnosis.to_json() if fit.diagnosis else None,
        "pinned": fit.pinned,
        "source": fit.source,
        "scatter": fit.scatter,
        "degrees": fit.degrees,
        "seen": fit.seen,
    }


def _fit_from_json(row: dict[str, Any], law: Any) -> Fit:
    if row["own"] and law is None:
        raise Refusal(
            f"This fit is of your own law {row['name']}, which is not in the file. "
            "Give it again: load_fits(path, law=...), or --law."
        )
    found = law_of(law, row["range"]) if row["own"] else from_json(row["law"], resolve)
    if not isinstance(found, Law) or set(found.names) != set(row["samples"]):
        raise Refusal(f"The law has parameters {getattr(found, 'names', ())}, the saved fit {sorted(row['samples'])}.")
    looked = row["diagnosis"]
    if looked:
        lists = {key: tuple(looked[key]) for key in ("at_bound", "unmoved")}
        looked = Diagnosis(**{**looked, **lists, "profile": {key: tuple(ends) for key, ends in looked["profile"].items()}})
    criterion = Criterion(**{key: value for key, value in (row["criterion"] or {}).items() if key != "is"})
    return Fit(
        group=row["group"],
        law=found,
        equation=row["equation"],
        samples={name: np.array(sample, dtype=float) for name, sample in row["samples"].items()},
        objective=row["objective"],
        points=row["points"],
        range={name: (ends[0], ends[1]) for name, ends in row["range"].items()},
        reach=row["reach"],
        level=row["level"],
        method=row["method"],
        findings=tuple(getattr(refusals, kind, Refusal)(text) for kind, text in row["findings"]),
        criterion=criterion if row["criterion"] else None,
        diagnosis=looked,
        pinned=row["pinned"],
        source=row["source"],
        scatter=row["scatter"],
        degrees=row["degrees"],
        seen=row["seen"],
    )
