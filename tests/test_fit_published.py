"""The acceptance list: fits of published runs, against the numbers that were published or found by others' optimisers.

Data: Besiroglu et al. 2024 (read from Hoffmann et al. 2022), McLeish et al. 2025 (Gemstones), the package `chinchilla`, Gadre
et al. 2024, Muennighoff et al. 2023, ArchScale, Porian et al. 2024. They lie beside the repository and are not part of it.
"""

import json

import numpy as np
import pandas as pd
import pytest
from fit_runs import law_named

from allometry.fit.criterion import Criterion
from allometry.fit.estimate import fit
from allometry.fit.isoflop import isoflop, line
from allometry.fit.refusals import AtBound, LackOfFit, NoInteriorMinimum, NotIdentified, TooFewPoints
from allometry.fit.sharing import share
from allometry.fit.solve.pose import pose
from allometry.fit.solve.search import search

SQUARES = Criterion(delta=None, of="loss")
LEAST_ABSOLUTE = Criterion(delta=0)
ASYMMETRIC = Criterion(delta=0, over=10, of="loss")  # that of the package `chinchilla`


@pytest.fixture(scope="module")
def published(shared_data):
    return shared_data / "scaling_runs"


@pytest.fixture(scope="module")
def chinchilla_runs(published):
    """All 245 runs by loss; the published fits leave out the 5 highest losses."""
    table = pd.read_csv(published / "gemstones/data/epoch_chinchilla_svg_extracted_data.csv")
    table = table.rename(columns={"Model Size": "N", "Training FLOP": "C"})
    return table.assign(D=table["C"] / (6 * table["N"])).sort_values("loss")


def values(fitted):
    return {name: float(sample[0]) for name, sample in fitted.samples.items()}


# 1. The points of Chinchilla


def test_chinchilla_points_give_the_optimum(chinchilla_runs):
    found = fit(chinchilla_runs.iloc[:-5], law="chinchilla", by=None, draws=300, level=0.95)["all"]
    at = values(found)
    assert found.points == 240
    assert found.objective <= 0.00101828
    assert found.objective == pytest.approx(0.0010182740178, rel=1e-10)
    expected = {"alpha": 0.3473105, "beta": 0.3671724, "A": 477.826, "B": 2143.42, "E": 1.817218}
    for name, value in expected.items():
        assert at[name] == pytest.approx(value, rel=1e-5)
    diagnosis = found.diagnosis
    assert diagnosis.agreeing == diagnosis.starts >= 10
    assert diagnosis.gradient < 1e-10
    # The published bootstraps, 2.5 to 97.5 %: alpha (.317, .373), beta (.331, .415), E (1.769, 1.871).
    for name, ends in {"alpha": (0.317, 0.373), "beta": (0.331, 0.415), "E": (1.769, 1.871)}.items():
        low, high = found.parameters[name]["low"], found.parameters[name]["high"]
        width = ends[1] - ends[0]
        assert low == pytest.approx(ends[0], abs=0.12 * width)
        assert high == pytest.approx(ends[1], abs=0.12 * width)


def test_all_245_points_move_beta(chinchilla_runs):
    found = fit(chinchilla_runs, law="chinchilla", by=None, draws=50)["all"]
    at = values(found)
    assert found.objective == pytest.approx(0.00182601052, rel=1e-8)
    expected = {"alpha": 0.349313, "beta": 0.453049, "A": 495.726, "B": 12845.6, "E": 1.891338}
    for name, value in expected.items():
        assert at[name] == pytest.approx(value, rel=1e-5)
    assert any(isinstance(finding, LackOfFit) for finding in found.findings)  # the five lie far above the law


def test_least_absolute_deviations_give_the_headline_parameters(chinchilla_runs):
    """Two published parameter sets for the same data: one is Huber's with delta = 1e-3, the other its limit at delta = 0."""
    found = fit(chinchilla_runs.iloc[:-5], law="chinchilla", by=None, draws=50, criterion=LEAST_ABSOLUTE)["all"]
    at = values(found)
    assert round(at["A"], 2) == pytest.approx(482.01, abs=0.011)
    assert round(at["B"], 1) == 2085.4
    assert round(at["E"], 5) == 1.81686
    assert round(at["alpha"], 5) == 0.34781
    assert round(at["beta"], 5) == 0.36585
    assert found.diagnosis.gradient < 1e-9


@pytest.mark.parametrize(
    ("at", "objective"),
    [
        ((477.84, 2143.86, 1.817236, 0.347313, 0.367183), 0.00101827416),
        ((482.01, 2085.43, 1.81686, 0.34781, 0.36585), 0.00101875256),
        ((np.exp(6.0073404), np.exp(6.0179186), np.exp(0.5267228), 0.33917084, 0.2849083), 0.0012311626),
        ((406.4, 410.7, 1.69, 0.34, 0.28), 0.0041210091),
    ],
)
def test_the_objective_of_published_parameters_is_the_published_one(chinchilla_runs, at, objective):
    table, law = chinchilla_runs.iloc[:-5], law_named("chinchilla")
    named = dict(zip(("A", "B", "E", "alpha", "beta"), at, strict=True))
    predicted = law.predict(named, {"N": table["N"].to_numpy(), "D": table["D"].to_numpy()})
    residual = law.criterion.residual(table["loss"].to_numpy(), predicted)
    # Published with so many digits of the parameters that the objective is known to about six digits.
    assert law.criterion.cost(residual).sum() == pytest.approx(objective, rel=2e-6)


# 2. Gemstones

KINDS = {"parameters": "chinchilla", "width_depth": "width_depth", "width_depth_parameters": "width_depth_parameters"}


def gemstones(published):
    for path in sorted((published / "gemstones/parameters_delta-3").glob("*.json")):
        kind, name = path.stem.removeprefix("approach_3_").split("_grid_search_0_")
        table = pd.read_json(
            published / f"gemstones/wandb_dfs/wandb_df_for_fitting_{name.removesuffix('_no_embeds')}.jsonl", lines=True
        )
        size = table["params_active_precise"].astype(float)
        table["N"] = size - 50304 * table["width"] if name.endswith("_no_embeds") else size
        table = table.rename(columns={"tokens": "D", "final_loss": "loss"})
        yield KINDS[kind], name, table, json.loads(path.read_text())["loss"]["0"]


def test_twenty_gemstones_objectives(published):
    found = 0
    for kind, name, table, objective in gemstones(published):
        law = law_named(kind)
        posed = pose(law, {key: table[key].to_numpy(dtype=float) for key in law.variables}, law.criterion, {})
        one = search(posed, table["loss"].to_numpy(), np.ones(len(table)))
        assert one.objective <= objective * (1 + 1e-6), name
        assert one.gradient < 1e-8, name
        assert one.agreeing >= 2, name
        found += 1
    assert found == 20


def test_two_gemstones_fits_are_flagged(published):
    tables = {(kind, name): table for kind, name, table, _ in gemstones(published)}
    narrow = fit(tables["chinchilla", "hot_100b+_512x"], law="chinchilla", by=None, cluster=["run_name"], draws=50)["all"]
    assert any(isinstance(one, NotIdentified) and "alpha" in str(one) for one in narrow.findings)
    floorless = fit(tables["width_depth", "hot_100b+"], law="width_depth", by=None, cluster=["run_name"], draws=50)["all"]
    assert floorless.samples["E"][0] == 0
    assert any(isinstance(one, AtBound) and "E = 0" in str(one) for one in floorless.findings)


# 3. The package `chinchilla`


def test_two_objectives_of_one_data_file(published):
    table = pd.read_csv(published / "kyo_takano/df.csv")
    law = law_named("chinchilla")
    theirs = {"E": 1.7002408, "A": 184.69152, "B": 1633.47867, "alpha": 0.28900765, "beta": 0.35579407}
    columns = {name: table[name].to_numpy(dtype=float) for name in ("N", "D")}
    cost = ASYMMETRIC.cost(ASYMMETRIC.residual(table["loss"].to_numpy(), law.predict(theirs, columns)))
    assert cost.mean() == pytest.approx(0.0227819, rel=1e-5)
    assert cost.sum() == pytest.approx(5.330965, rel=1e-6)
    lower = fit(table, law="chinchilla", by=None, draws=50, criterion=ASYMMETRIC)["all"]
    assert lower.objective <= cost.sum()
    assert lower.diagnosis.gradient < 1e-9
    for name, value in theirs.items():
        assert values(lower)[name] == pytest.approx(value, rel=1e-3)
    ours = fit(table, law="chinchilla", by=None, draws=50)["all"]
    assert ours.objective == pytest.approx(0.00084009312, rel=1e-8)
    expected = {"alpha": 0.342626, "beta": 0.342002, "A": 442.164, "B": 1271.81, "E": 1.783894}
    for name, value in expected.items():
        assert values(ours)[name] == pytest.approx(value, rel=1e-5)


# 4. Over-training


@pytest.mark.parametrize(
    ("dataset", "expected", "held_out"),
    [
        (
            "c4_original",
            (113.693, 189.516, -0.242472, 1.508261),
            {("open_lm_1b", 1): 0.0078, ("open_lm_1b", 4): 0.0150, ("open_lm_7b", 1): 0.0430},
        ),
        (
            "rpj",
            (166.211, 366.687, -0.272851, 1.836648),
            {("open_lm_1b", 1): 0.0011, ("open_lm_1b", 32): 0.007103, ("open_lm_7b", 1): 0.007320},
        ),
        (
            "rw_original",
            (125.096, 246.207, -0.254395, 1.734462),
            {("open_lm_1b", 1): 0.0056, ("open_lm_1b", 16): 0.00005, ("open_lm_7b", 1): 0.0162},
        ),
    ],
)
def test_over_training_laws_and_their_held_out_errors(published, dataset, expected, held_out):
    table = pd.read_csv(published / "gadre2024/gadre_losses.csv")
    table = table[table["dataset"] == dataset].rename(columns={"loss_c4_val": "loss"})
    wide = (table["mult"] == 16) & (table["model"] == "d=96_l=8_h=4")
    small = table[((table["mult"] == 1) & (table["N"] < 1e9)) | wide]
    assert len(small) == 5
    found = fit(small, law="over_training", by=None, criterion=SQUARES, draws=50)["all"]
    at = values(found)
    # Theirs: alpha' = a 6^-eta, b = -2 eta.
    theirs = (at["a"] * 6 ** -at["eta"], at["b"], -2 * at["eta"], at["E"])
    np.testing.assert_allclose(theirs, expected, rtol=5e-6)
    assert any(isinstance(finding, TooFewPoints) for finding in found.findings)
    for (model, mult), error in held_out.items():
        row = table[(table["model"] == model) & (table["mult"] == mult)].iloc[0]
        predicted = found.at(C=6.0 * float(row["N"]) * float(row["D"]), M=row["D"] / row["N"])[0]
        digits = 6 if error in (0.007103, 0.007320) else 4
        assert abs(predicted / row["loss"] - 1) == pytest.approx(error, abs=0.6 * 10**-digits)


# 5. Repeated data

FIRST = {"A": np.exp(6.255414), "B": np.exp(7.3049974), "E": np.exp(0.6254804), "alpha": 0.3526596, "beta": 0.3526596}
LEFT_OUT = """2b84b4b 2b88b4b 2b812b4b 2b816b4b 2b824b4b 2b855b1b25 4b212b12b 4b224b12b 4b284b1b9 4b284b6b 2b8100m100m 14m7b5100m
    14m300b100m 1b12b7100m 1b13b9100m 1b15b9100m 1b17b5100m 619m3b9100m 619m5b9100m 619m7b5100m 2b84b8100m 1b58b8100m
    1b112b100m 619m22b100m 421m300b1b5 221m91b400m 221m174b400m 221m600b400m 8b712b12b 8b712b1b5 8b712b400m 8b712b100m
    3b926b1b5 2b836b1b5 2b836b400m 2b836b100m 2b246b400m 2b246b100m 1b566b1b5 1b566b100m 1b191b400m 1b191b1b5 1b1250b1b5
    1b5174b1b5 2b291b1b5 2b2174b1b5 8b720b1b5 2b877b1b5"""


@pytest.fixture(scope="module")
def repeated(published):
    table = pd.read_csv(published / "datablations/datablations_val_losses.csv")
    return table.rename(columns={"params": "N", "tokens": "D", "unique_tokens": "U", "val_loss": "loss"})


def test_the_law_of_repeated_data_is_the_published_function():
    law, at = law_named("repetition"), FIRST | {"R_D": 15.387756, "R_N": 5.309743}
    first = law.predict(at, {"N": 6.34e9, "D": 242e9, "U": 25e9})
    second = law.predict(at, {"N": 8.67e9, "D": 178e9, "U": 25e9})
    assert float(first) == pytest.approx(2.2256440889984477, abs=1e-12)
    assert float(second) == pytest.approx(2.2269634075087867, abs=1e-12)


def test_repeated_data_have_a_ridge(repeated):
    law = law_named("repetition")
    kept = repeated[~repeated["run"].str.contains("seed|opt") & ~repeated["run"].isin(LEFT_OUT.split())]
    assert len(kept) == 182
    columns = {name: kept[name].to_numpy() for name in law.variables}
    published_pair = law.predict(FIRST | {"R_D": 15.387756, "R_N": 5.309743}, columns)
    at_theirs = law.criterion.cost(law.criterion.residual(kept["loss"].to_numpy(), published_pair)).sum()
    assert at_theirs == pytest.approx(0.0158259353, rel=1e-8)
    found = fit(kept, law="repetition", by=None, pinned=FIRST, source="arXiv:2305.16264", draws=50)["all"]
    assert found.objective <= 0.0158046625 * (1 + 1e-8)
    assert values(found)["R_D"] == pytest.approx(95.4, abs=0.1)
    assert values(found)["R_N"] == pytest.approx(1.71, abs=0.01)
    assert found.to_json()["source"] == "arXiv:2305.16264"
    ridge = [str(one) for one in found.findings if isinstance(one, NotIdentified)]
    assert any("R_D is not identified: anything above" in text for text in ridge)


def test_overfitted_runs_make_the_law_of_repeated_data_degenerate(repeated):
    found = fit(repeated, law="repetition", by=None, pinned=FIRST, draws=50)["all"]
    assert values(found)["R_D"] > 1e4
    assert values(found)["R_N"] < 0.01
    assert {AtBound, LackOfFit} <= {type(one) for one in found.findings}


# 6. ArchScale

SERIES = {
    "Transformer++ (SP)": (0.1153, 1.111, 1.45e-4, (0.057, 0.177)),
    "Transformer++ (muP)": (0.0763, 0.643, 9.5e-6, (0.060, 0.092)),
    "Transformer++ (muP++)": (0.0745, 0.642, 2.2e-7, (0.072, 0.077)),
    "SambaY (muP++)": (0.0694, 0.585, 1.3e-6, (0.063, 0.076)),
    "Samba+YOCO (muP++)": (0.0702, 0.607, 1.1e-6, (0.064, 0.076)),
}


def test_archscale_slopes_cannot_be_told_apart_but_levels_can(published):
    table = pd.read_csv(published / "archscale/archscale_flops_scaling.csv")
    names = {"C": "flops", "loss": "val_loss"}
    found = fit(table, by="series", columns=names, criterion=SQUARES, draws=50, level=0.95)
    for name, (b, floor, rss, ends) in SERIES.items():
        one = found[name]
        assert values(one)["alpha"] == pytest.approx(b, abs=1e-4)
        assert values(one)["E"] == pytest.approx(floor, abs=1e-3)
        assert 2 * one.objective == pytest.approx(rss, rel=0.04)
        assert one.diagnosis.profile["alpha"] == pytest.approx(ends, abs=1e-3)
    pair = table[table["series"].isin(["Transformer++ (muP++)", "SambaY (muP++)"])]
    shared = share(pair, ("alpha",), by="series", columns=names, criterion=SQUARES, level=0.95)
    assert not shared.distinguishable
    assert "Not distinguishable" in shared.text
    losses = table.pivot(index="flops", columns="series", values="val_loss")
    gap = losses["Transformer++ (muP++)"] - losses["SambaY (muP++)"]
    assert (gap > 0).all()
    for flops, true in gap.items():
        better, worse = (found[name].curve(flops) for name in ("SambaY (muP++)", "Transformer++ (muP++)"))
        assert worse[0] - better[0] == pytest.approx(true, abs=0.003)
        assert better[2] < worse[1]  # the intervals of the level do not touch, at any size


def test_a_diverging_series_is_flagged(published):
    table = pd.read_csv(published / "archscale/archscale_data_scaling.csv")
    found = fit(table, by="series", columns={"C": "tokens_B", "loss": "val_loss"}, draws=50)
    rising = [one.group for one in found if any(isinstance(f, LackOfFit) and "rises" in str(f) for f in one.findings)]
    assert rising == ["ori_mup"]
    assert any(isinstance(finding, NotIdentified) for finding in found["ori_mup"].findings)


# 7. Porian et al.

CONFIGURATION = ["source", "dataset", "hparams", "warmup", "decay", "param_count", "val"]


@pytest.fixture(scope="module")
def porian(published):
    names = ("porian_published_fits", "porian_optimal_pairs", "porian_isoflop_points")
    tables = [pd.read_csv(published / f"porian2024/{name}.csv") for name in names]
    fits = tables[0]

    def of(table, row):
        return table[np.all([table[name] == row[name] for name in CONFIGURATION], axis=0)]

    return [(row, of(tables[1], row), of(tables[2], row)) for _, row in fits.iterrows()]


def test_fifteen_exponents_from_the_optimal_pairs(porian):
    assert len(porian) == 15
    for row, pairs, _ in porian:
        for exponent, column, spread in (("n_exponent", "n", "n_star_std"), ("t_exponent", "t", "t_star_std")):
            found = line(*(pairs[name].to_numpy() for name in ("flops", column)), 1 / pairs[spread].to_numpy() ** 2)[0]
            assert found == pytest.approx(row[exponent], abs=5e-5)


def test_levels_by_akima_give_the_exponents_and_refuse_four_minima(porian):
    inside, refused = 0, 0
    for row, pairs, points in porian:
        found = isoflop(*(points[name].to_numpy() for name in ("n", "flops", "loss")), method="akima")
        good = [level for level in found.levels if level.N is not None]
        inside, refused = inside + len(good), refused + len(found.levels) - len(good)
        missing = pairs["flops"][pairs["n"].isna()].to_numpy()
        lacking = [level.C for level in found.levels if level.N is None]
        np.testing.assert_allclose(sorted(lacking), sorted(missing), rtol=1e-9)
        assert sum(isinstance(one, NoInteriorMinimum) for one in found.findings) == len(missing)
        assert row["n_exponent_lo"] <= found.exponent <= row["n_exponent_hi"]
        spread = pairs["n_star_std"].to_numpy()[~pairs["n"].isna()]
        weighted = line(np.array([one.C for one in good]), np.array([one.N for one in good]), 1 / spread**2)[0]
        assert weighted == pytest.approx(row["n_exponent"], abs=0.004)
    assert (inside, refused) == (173, 4)


def test_a_parabola_is_warned_of_where_levels_are_lopsided(porian):
    _, _, points = porian[2]
    found = isoflop(*(points[name].to_numpy() for name in ("n", "flops", "loss")))
    assert found.exponent > 0.66  # .602 published: that is the bias
    assert any(isinstance(one, LackOfFit) and "biases a parabola" in str(one) for one in found.findings)


def test_saturation_fits_on_four_to_six_points_are_all_reported(porian):
    floors, unsure = [], 0
    for _, pairs, _ in porian:
        few = pairs[(pairs["flops"] > 1e16) & (pairs["flops"] < 5e17)].dropna()
        assert 4 <= len(few) <= 6
        found = fit(few, law="power_floor", by=None, columns={"C": "flops"}, draws=50)["all"]
        floors.append(values(found)["E"])
        assert any(isinstance(one, TooFewPoints) for one in found.findings)
        unsure += any(isinstance(one, NotIdentified | AtBound) for one in found.findings)
    assert max(floors) - min(floors) > 2.5  # one data set has one floor: so these are worth nothing
    assert unsure >= 11
