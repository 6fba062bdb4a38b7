"""Laws of the frontier: how each family's loss falls with compute, its floor, and how well small budgets foretold it."""

# ruff: noqa: N803 - N, D and C are the letters of the field

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy import stats

from allometry.find import member
from allometry.fit.diagnosis import findings
from allometry.fit.differences import interval
from allometry.fit.frontier import Frontier
from allometry.fit.laws._additive import Additive
from allometry.fit.sharing import jointly
from allometry.fit.solve import project
from allometry.fit.solve.pose import pose

SHARED = "_shared"  # ending of the name of a law whose floor is shared
NAMES = ("power", "power_floor", "power_floor_shared")
KEPT = 200  # draws that are fitted: ends of 90 % intervals need no more
STEPS = 12  # of the search for a draw: draws are scatter, so the few that creep along a bound may stop early


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Trend:
    """One law for every family. Column 0 of a parameter is the estimate, the others are its draws; NaN where refused."""

    name: str
    law: Additive
    families: tuple[str, ...]
    parameters: dict[str, Float[np.ndarray, "families sets"]]
    objective: Float[np.ndarray, " families"]
    flags: tuple[tuple[str, ...], ...]  # for each family

    @property
    def equation(self) -> str:
        return self.law.equation + (", one E for all families" if self.name.endswith(SHARED) else "")

    def predict(self, C: Float[np.ndarray, " points"]) -> Float[np.ndarray, "families sets points"]:
        """Loss at these FLOPs."""
        return self.law.predict({name: value[:, :, None] for name, value in self.parameters.items()}, {"C": C})

    def inverse(self, family: int, loss: float) -> float:
        """The FLOPs at which the estimate reaches a loss; NaN where it never does."""
        at = {name: value[family, 0] for name, value in self.parameters.items()}
        above = loss - at.get("E", 0.0)
        with np.errstate(over="ignore"):
            return float((above / at["A"]) ** (-1 / at["alpha"])) if above > 0 and at["A"] > 0 else float("nan")


def named(name: str) -> tuple[Additive, bool]:
    """The law of a name, and whether its floor is shared."""
    return member("allometry.fit.laws", name.removesuffix(SHARED))(), name.endswith(SHARED)


def trend(
    law: Additive,
    families: tuple[str, ...],
    C: Float[np.ndarray, " budgets"],
    value: Float[np.ndarray, "families budgets"],
    draws: Float[np.ndarray, "draws families budgets"],
    level: float,
    *,
    shared: bool = False,
    kept: int = KEPT,
) -> Trend:
    """Fit a law of C to ln losses of the frontier; a family with too few budgets for it gets NaN and a flag."""
    name = law.name + (SHARED if shared else "")
    sets = 1 + min(len(draws), kept)
    ln_loss = np.concatenate([value[None], draws[: sets - 1]])
    present = np.isfinite(value)
    needed = len(law.parameters) + 1 - (1 if shared else 0)
    fitted = present.sum(axis=1) >= needed
    if shared and present[fitted].sum() < 2 * fitted.sum() + 2:
        fitted[:] = False
    names = law.coefficients + law.exponents
    parameters = {key: np.full((len(families), sets), np.nan) for key in names}
    objective = np.full(len(families), np.nan)
    if fitted.any():
        chosen = np.flatnonzero(fitted)
        loss = np.exp(np.where(present, ln_loss, 0.0))[:, chosen]
        found, objective[chosen] = (_jointly if shared else _apart)(law, C, loss, present[chosen])
        for key, value in found.items():
            parameters[key][chosen] = value
    flags = tuple(
        tuple(diagnose(law, {key: parameters[key][f] for key in names}, int(present[f].sum()), level))
        if fitted[f]
        else (f"refused: {needed} budgets are needed, {int(present[f].sum())} are there",)
        for f in range(len(families))
    )
    return Trend(name=name, law=law, families=families, parameters=parameters, objective=objective, flags=flags)


Parts = tuple[dict[str, Float[np.ndarray, "families sets"]], Float[np.ndarray, " families"]]


def _apart(
    law: Additive,
    C: Float[np.ndarray, " budgets"],
    loss: Float[np.ndarray, "sets families budgets"],
    present: Bool[np.ndarray, "families budgets"],
) -> Parts:
    """All families and draws at once, as they share the budgets: those that a family lacks have no weight."""
    sets, families, budgets = loss.shape
    posed = pose(law, {"C": C}, law.criterion, {})
    assert isinstance(posed.model, project.Problem)
    rows = loss.transpose(1, 0, 2).reshape(-1, budgets)
    weights = np.repeat(present.astype(float), sets, axis=0)
    found = project.solve(posed.model, rows, weights, posed.starts(), steps=STEPS)
    # The estimates go on to the end.
    first = slice(None, None, sets)
    best = project.refine(
        posed.model, rows[first], weights[first], found.coefficients[first], found.exponents[first], steps=300
    )
    values = found.values.copy()
    values[first] = best.values
    named = posed.named(values)
    return {name: value.reshape(families, sets) for name, value in named.items()}, best.objective


def _jointly(
    law: Additive,
    C: Float[np.ndarray, " budgets"],
    loss: Float[np.ndarray, "sets families budgets"],
    present: Bool[np.ndarray, "families budgets"],
) -> Parts:
    """One floor for all families."""
    group, budget = np.nonzero(present)
    rows = loss[:, group, budget]
    joint = jointly(law, {"C": C[budget]}, group, law.criterion, ("E",), rows[0])
    first = joint.search(rows[0])
    values = np.concatenate([first.values[None], joint.again(rows[1:], np.ones_like(rows[1:]), first, STEPS)])
    residual = law.criterion.residual(rows[0], joint.problem.predicted(first.values[None])[0])
    cost = law.criterion.cost(residual)
    objective = np.array([cost[group == family].sum() for family in range(len(present))])
    by_family = [joint.named(values, family) for family in range(len(present))]
    return {name: np.stack([at[name] for at in by_family]) for name in by_family[0]}, objective


def diagnose(law: Additive, parameters: dict[str, Float[np.ndarray, " sets"]], points: int, level: float) -> list[str]:
    """What to distrust in a fit, in words. Column 0 is the estimate."""
    return [str(finding) for finding in findings(law, parameters, points, level)]


def floors(apart: Trend, together: Trend, frontier: Frontier) -> dict[str, Any]:
    """Do the data need a floor for each family? A likelihood ratio, with the noise of the frontier as the scale."""
    both = np.isfinite(apart.objective) & np.isfinite(together.objective)
    result: dict[str, Any] = dict.fromkeys(("shared_ln_objective", "separate_ln_objective", "distinguishable", "detectable"))
    if both.sum() < 2:
        return result | {"text": "Fewer than two families have the budgets that a floor takes; floors are not compared."}
    separate, shared = float(apart.objective[both].sum()), float(together.objective[both].sum())
    drawn = frontier.draws[:, both]
    own = drawn - np.nanmean(drawn, axis=1, keepdims=True)  # what families share moves all floors alike
    variance = float(np.nanmean(np.nanvar(own, axis=0))) * both.sum() / (both.sum() - 1)
    ratio = 2 * (shared - separate) / variance if variance > 0 else np.inf * (shared > separate * (1 + 1e-6))
    chance = float(stats.chi2.sf(ratio, both.sum() - 1)) if np.isfinite(ratio) else 0.0
    apart_enough = chance < 0.1
    detectable = _detectable(apart.parameters["E"][both, 1:])
    text = (
        f"The families need separate floors: with a shared one, such misfit has probability {chance:.2g}."
        if apart_enough
        else f"This range of compute cannot tell separate floors from a shared one (probability {chance:.2g}); "
        f"only floors that differ by about {detectable:.2g} would mostly be told apart."
    )
    return {
        "detectable": detectable,
        "shared_ln_objective": shared,
        "separate_ln_objective": separate,
        "distinguishable": apart_enough,
        "text": text,
    }


def _detectable(floors: Float[np.ndarray, "families draws"]) -> float:
    """The difference of two floors that such a study shows in 80 % of cases, at a level of 90 %."""
    half = (np.quantile(floors, 0.95, axis=1) - np.quantile(floors, 0.05, axis=1)) / 2  # draws have heavy tails
    sd = np.sqrt(2 * np.mean((half / stats.norm.ppf(0.95)) ** 2))
    return float((stats.norm.ppf(0.95) + stats.norm.ppf(0.8)) * sd)


def holdout(frontier: Frontier, names: tuple[str, ...], level: float) -> list[dict[str, Any]]:
    """Each law fitted without the largest budget, and how far it is from what that budget gave."""
    rows: list[dict[str, Any]] = []
    if len(frontier.budgets) < 3:
        return rows
    last = float(frontier.budgets[-1])
    for name in names:
        law, shared = named(name)
        earlier = frontier.value[:, :-1], frontier.draws[:, :, :-1]
        fitted = trend(law, frontier.families, frontier.budgets[:-1], *earlier, level, shared=shared)
        predicted = fitted.predict(np.array([last]))[:, :, 0]
        for family, label in enumerate(frontier.families):
            if not np.isfinite(predicted[family, 0]) or not frontier.present[family, -1]:
                continue
            measured = float(np.exp(frontier.value[family, -1]))
            low, high = interval(predicted[family, 1:], level)
            rows.append(
                {
                    "family": label,
                    "law": name,
                    "budget": last,
                    "predicted": predicted[family, 0],
                    "low": low,
                    "high": high,
                    "measured": measured,
                    "ln_error": np.log(predicted[family, 0] / measured),
                    "compute_equivalent": fitted.inverse(family, measured) / last,
                }
            )
    return rows
