"""The analysis `rsa`: planted models, references, nulls, groups, options, files of models."""

import re
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from decoding_study import GRID, MemoryParticipant, event_frame, store
from example_results import example_provenance, example_unit
from pydantic import ValidationError
from scipy.spatial.distance import pdist, squareform

from bidsface.analysis import Region, Results, Samples, Voxels
from bidsface.derivatives import OutputFolder
from bidsface.derivatives.names import TABLE_SUFFIXES, file_path
from bidsface.derivatives.tables import check_columns
from bidsface.errors import InputError, RecipeError
from bidsface.figures import render_svg
from bidsface.numerics.rdm_comparison import compare_rdms, mantel_test, noise_ceiling
from bidsface.statistics import fdr, signed_rank_p
from bidsface_emotion_cnn.rsa import Rsa, RsaOptions
from bidsface_emotion_cnn.rsa_figures import rdm_figure
from bidsface_emotion_cnn.rsa_group import resampled_over
from bidsface_emotion_cnn.rsa_models import read_models
from bidsface_emotion_cnn.rsa_participant import compare_models
from bidsface_emotion_cnn.rsa_patterns import make_design, region_patterns

POINTS = {
    "anger": (-0.8, 0.9),
    "fear": (-0.6, 0.3),
    "joy": (0.9, 0.6),
    "love": (0.7, -0.5),
    "sadness": (-0.4, -0.9),
}
CLASSES = tuple(POINTS)
AFFECT = {"columns": POINTS}
GROUPS = {"classes": [["joy", "anger"], ["fear", "love", "sadness"]]}
REGIONS = {
    "signal": Region("signal", np.arange(0, 60), "holds the planted patterns"),
    "noise": Region("noise", np.arange(60, 120), "holds noise only"),
    "everything": Region("everything", np.arange(180), "all voxels"),
}


def task_samples(rng, effect, task="film", classes=CLASSES, n_runs=4, per_class=3):
    """Averages whose patterns in the first 60 voxels lie like the points of their classes."""
    events = event_frame(classes, n_runs, per_class, rng)
    events["block"] = [f"task-{task}_run-{run}" for run in events["run_index"]]
    points = np.array([POINTS[name] for name in events["trial_type"]])
    X = 5.0 + rng.standard_normal((len(events), 180))
    # The same voxels for all people, on two orthogonal axes.
    axes = np.random.default_rng(99).choice([-1.0, 1.0], size=60)
    X[:, :60:2] += effect * points[:, :1] * axes[:30]
    X[:, 1:60:2] += effect * points[:, 1:] * axes[30:]
    entities = {"task": task, "space": GRID.space, "ses": "a"}
    return Samples("averages", X.astype(np.float32), events, np.zeros((len(events), 6)), entities)


def make_participant(label="01", seed=0, effect=1.5, tasks=("film",), regions=REGIONS, **options):
    rng = np.random.default_rng([seed, int(label)])
    reverse = options.pop("reverse", False)
    kinds = {("averages", task): task_samples(rng, effect, task, **options) for task in tasks}
    return MemoryParticipant(label, kinds, tasks, ("averages",), regions, reverse)


def analysis():
    return Rsa("rsa", 1)


def options(**changes):
    given = {"models": {"affect": AFFECT, "groups": GROUPS}, "dissimilarity": "euclidean"}
    return RsaOptions(**given | {"bootstrap": 100} | changes)


def table(results, suffix):
    return next(item for item in results.tables if item.suffix == suffix).frame


@pytest.fixture(scope="module")
def found():
    chosen = options(searchlight={"region": "everything", "radius": 3.0})
    return analysis().participant(make_participant(), chosen)


def rows_of(frame, **values):
    for name, value in values.items():
        frame = frame[frame[name] == value]
    return frame


def test_the_planted_model_is_found_where_it_is(found):
    scores = table(found, "scores")
    planted = rows_of(scores, model_name="affect").set_index("roi_name")
    assert planted.loc["signal", "value"] > 0.9
    assert planted.loc["signal", "p"] <= 2 / 120
    assert planted.loc["noise", "p"] > 0.05
    other = rows_of(scores, model_name="groups").set_index("roi_name")
    assert other.loc["signal", "p"] > 0.05
    assert planted["exhaustive"].all()
    assert (planted["n_permutations"] == 120).all()
    np.testing.assert_allclose(scores["p"] * 120, np.rint(scores["p"] * 120), atol=1e-9)
    assert (planted["p_min"] == 1 / 120).all()
    assert (other["p_min"] == 12 / 120).all()
    np.testing.assert_allclose(planted["p_fdr"], fdr(planted["p"]))
    best = planted["value"].idxmax()
    assert any(f"model affect: most similar in {best}" in line for line in found.highlights)
    assert any("model groups: the smallest p" in line for line in found.warnings)


def plain_rdm(samples, columns, metric, standardize=True):
    X = samples.X[:, columns].astype(float)
    if standardize:
        X = (X - X.mean(axis=0)) / X.std(axis=0)
    labels = samples.table["trial_type"].to_numpy(str)
    means = np.stack([X[labels == name].mean(axis=0) for name in sorted(set(labels))])
    return pdist(means, metric) / (len(columns) if metric == "sqeuclidean" else 1)


@pytest.mark.parametrize(
    ("name", "metric"), [("correlation", "correlation"), ("euclidean", "sqeuclidean")]
)
def test_rdms_equal_a_plain_computation(name, metric, monkeypatch):
    monkeypatch.setattr("bidsface_emotion_cnn.rsa_patterns.COLUMNS", 13)
    participant = make_participant()
    samples = participant.samples("averages", "film")
    for standardize in ("task", "none"):
        chosen = options(dissimilarity=name, standardize=standardize, models={})
        results = analysis().participant(participant, chosen)
        for region, matrix in zip(REGIONS.values(), results.matrices, strict=True):
            expected = plain_rdm(samples, region.columns, metric, standardize == "task")
            np.testing.assert_allclose(squareform(matrix.frame), expected, atol=1e-8)
            assert list(matrix.frame) == list(matrix.frame.index) == list(CLASSES)
            assert matrix.entities["label"] == region.name
        pairs = rows_of(table(results, "dissimilarities"), roi_name="noise")
        np.testing.assert_allclose(
            pairs["value"], squareform(results.matrices[1].frame), rtol=1e-12
        )
        assert list(zip(pairs["class_1"], pairs["class_2"], strict=True))[1] == ("anger", "joy")


def test_crossnobis_equals_rsatoolbox():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("rsatoolbox")
        from rsatoolbox.data import Dataset
        from rsatoolbox.data.noise import prec_from_residuals
        from rsatoolbox.rdm import calc_rdm
    samples = make_participant().samples("averages", "film")
    columns = REGIONS["signal"].columns
    X = samples.X[:, columns].astype(float)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    labels, blocks = samples.table["trial_type"], samples.table["block"]
    cells = pd.DataFrame(X).groupby([labels.to_numpy(), blocks.to_numpy()]).transform("mean")
    residuals = X - cells.to_numpy()
    for noise, method in (("shrinkage", "shrinkage_eye"), ("diagonal", "diag"), ("none", None)):
        precision = None
        if method is not None:
            precision = prec_from_residuals(residuals, dof=len(X) - 20, method=method)
        names = {"condition": labels.to_numpy(str), "run": blocks.to_numpy(str)}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = calc_rdm(
                Dataset(X, obs_descriptors=names),
                method="crossnobis",
                descriptor="condition",
                cv_descriptor="run",
                noise=precision,
            ).get_vectors()[0]
        chosen = options(dissimilarity="crossnobis", noise=noise)
        design, _ = make_design(samples, "film", chosen)
        own = region_patterns(samples.X, columns, design, chosen, noise)
        np.testing.assert_allclose(own.rdm("crossnobis"), expected, atol=1e-8)


def test_scaling_by_run_takes_runs_apart():
    participant = make_participant(effect=0.0)
    samples = participant.samples("averages", "film")
    levels = samples.table["run_index"].astype(float).to_numpy()[:, None]
    shifted = replace(samples, X=(levels * samples.X + 50 * levels).astype(np.float32))
    chosen = options(standardize="run")
    design, _ = make_design(samples, "film", chosen)
    rdms = [
        region_patterns(one.X, REGIONS["noise"].columns, design, chosen, "none").rdm("euclidean")
        for one in (samples, shifted)
    ]
    np.testing.assert_allclose(rdms[0], rdms[1], rtol=1e-4)


def test_partial_correlation_tells_models_apart():
    blend = {name: (x, 0.3 * y) for name, (x, y) in POINTS.items()}
    chosen = options(models={"affect": AFFECT, "blend": {"columns": blend}}, partial=True)
    results = analysis().participant(make_participant(effect=3.0), chosen)
    scores = rows_of(table(results, "scores"), roi_name="signal").set_index(["model_name", "given"])
    assert len(scores) == 4
    assert scores.loc[("blend", "none"), "value"] > 0.5
    assert scores.loc[("affect", "others"), "value"] > 0.8
    assert scores.loc[("affect", "others"), "value"] > scores.loc[("blend", "others"), "value"]
    assert "legendre2000" in results.citations


def test_files_are_described_and_their_names_differ(found):
    for item in found.tables:
        assert item.suffix in TABLE_SUFFIXES
        check_columns(item.frame, item.columns, "a table")
    names = [
        file_path({**item.entities, "desc": "rsa", "sub": "01", "stat": item.stat}, "x", "", "")
        for item in found.maps
    ]
    names += [
        file_path({**item.entities, "desc": "rsa"}, "relmat", "", "") for item in found.matrices
    ]
    names += [
        file_path({**item.entities, "desc": item.name}, "f", "", "") for item in found.figures
    ]
    assert len(set(names)) == len(names)
    assert [figure.name for figure in found.figures] == ["rdm", "models", *["rsasearchlight"] * 2]
    assert all(len(render_svg(figure.draw)) > 1000 for figure in found.figures)
    assert {"kriegeskorte2008", "mantel1967", "kriegeskorte2006", "nichols2002"} <= set(
        found.citations
    )
    shown = found.summaries[0].frame
    assert shown.shape == (6, 6)
    by_model = shown.groupby("Model")["Smallest p"].unique()
    assert by_model["affect"].tolist() == [0.00833]
    assert by_model["groups"].tolist() == [0.1]
    assert "all 120 orders" in found.summaries[0].caption


def test_results_do_not_depend_on_the_order_of_the_work(found, monkeypatch):
    monkeypatch.setattr("bidsface.numerics.sphere_rdms.CENTRES", 17)
    chosen = options(searchlight={"region": "everything", "radius": 3.0})
    again = analysis().participant(make_participant(reverse=True), chosen)
    for one, other in zip(found.maps, again.maps, strict=True):
        np.testing.assert_allclose(one.values, other.values, atol=1e-6)
    pd.testing.assert_frame_equal(table(found, "scores"), table(again, "scores"))


def maps_of(results):
    return {(item.stat, item.entities.get("contrast")): item for item in results.maps}


def test_maps_of_spheres(found):
    maps = maps_of(found)
    models = ("affect", "groups")
    stats = ("correlation", "p", "pfwe")
    assert set(maps) == {("size", None), ("dissimilarity", None), ("mean", None)} | {
        (stat, model) for stat in stats for model in models
    }
    rdms = maps["dissimilarity", None]
    assert rdms.volumes[0] == "anger - fear"
    assert rdms.values.shape == (180, 10)
    samples = make_participant().samples("averages", "film")
    place = int(np.ravel_multi_index((2, 3, 2), GRID.shape))
    where = np.stack(np.unravel_index(np.arange(180), GRID.shape), axis=1)
    sphere = np.flatnonzero(np.linalg.norm(where - where[place], axis=1) <= 1.0)
    expected = plain_rdm(samples, sphere, "sqeuclidean")
    np.testing.assert_allclose(rdms.values[place], expected, rtol=1e-6)
    test = mantel_test(rdms.values[place], pdist(list(POINTS.values())), seed=0)
    assert maps["correlation", "affect"].values[place] == pytest.approx(test.r)
    assert maps["p", "affect"].values[place] == pytest.approx(test.p)
    inside = (where[:, 0] == 0) | (where[:, 0] == 1)
    r = maps["correlation", "affect"].values
    assert r[inside].mean() > 0.5 > r[where[:, 0] > 3].mean()


def test_mantel_p_of_noise_is_uniform():
    chosen, p = options(models={"affect": AFFECT}), []
    model = {"affect": pdist(list(POINTS.values()))}
    for seed in range(120):
        samples = make_participant(seed=seed, effect=0.0, per_class=1).samples("averages", "film")
        design, _ = make_design(samples, "film", chosen)
        own = region_patterns(samples.X, np.arange(20), design, chosen, "none")
        p.append(compare_models(own.rdm("euclidean"), model, chosen, 0)["affect", "none"].p)
    p = np.array(p)
    assert (p <= 0.05).sum() <= 15  # 99.9 % of binomial(120, 0.05) are
    assert 0.4 < p.mean() < 0.6


def test_classes_that_runs_lack():
    """Crossnobis leaves out a class that shares fewer than two runs with another."""
    participant = make_participant()
    samples = participant.samples("averages", "film")
    labels, runs = samples.table["trial_type"], samples.table["run_index"]
    kept = ~((labels == "love") & (runs != "1")) & ~((labels == "fear") & (runs == "4"))
    fewer = replace(samples, X=samples.X[kept], table=samples.table[kept].reset_index(drop=True))
    design, notes = make_design(fewer, "film", options(dissimilarity="crossnobis"))
    assert design.classes == ("anger", "fear", "joy", "sadness")
    assert len(notes) == 1
    assert "class love was left out" in notes[0]
    assert design.cells.tolist()[3] == [3, 0, 3, 3]
    assert design.dof == 4 * 12 - 3 - 15
    own = region_patterns(
        fewer.X, np.arange(60), design, options(dissimilarity="crossnobis"), "shrinkage"
    )
    assert np.isfinite(own.rdm("crossnobis")).all()
    everyone, _ = make_design(fewer, "film", options())
    assert everyone.classes == CLASSES


def test_few_classes_and_chosen_ones():
    participant = make_participant(classes=("joy", "fear"))
    results = analysis().participant(participant, options(models={}))
    assert results.tables == ()
    assert "3 classes at least are needed" in results.warnings[0]
    chosen = options(classes=["joy", "fear", "love"], models={"affect": AFFECT})
    results = analysis().participant(make_participant(), chosen)
    assert list(results.matrices[0].frame) == ["fear", "joy", "love"]
    assert any("smallest p" in line and "0.167" in line for line in results.warnings)
    with pytest.raises(InputError, match=r"wanted the classes joy, fear, love, found fear, joy wi"):
        analysis().participant(participant, chosen)


def test_voxels_that_do_not_vary():
    participant = make_participant()
    samples = participant.samples("averages", "film")
    samples.X[:, 61:120] = 3.0
    results = analysis().participant(participant, options(dissimilarity="correlation", models={}))
    assert [matrix.entities["label"] for matrix in results.matrices] == ["signal", "everything"]
    assert any("region noise was left out" in line for line in results.warnings)
    assert any("region everything: 59 voxels do not vary" in line for line in results.warnings)


def test_noise_needs_several_samples():
    participant = make_participant(per_class=1)
    with pytest.raises(InputError, match="noise: shrinkage wanted several samples"):
        analysis().participant(participant, options(dissimilarity="crossnobis"))
    results = analysis().participant(participant, options(dissimilarity="crossnobis", noise="none"))
    assert (
        table(results, "scores")
        .set_index(["roi_name", "model_name"])
        .loc[("signal", "affect"), "value"]
        > 0.7
    )


def test_missing_regions_and_tasks_are_told():
    empty = make_participant(regions={})
    with pytest.raises(InputError, match="none of the wanted regions"):
        analysis().participant(empty, options())
    results = analysis().participant(make_participant(), options(tasks=("film", "rest")))
    assert any("task rest has no usable runs" in line for line in results.warnings)


# Groups


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """Eight participants with a searchlight, written and read; the last lacks some voxels."""
    folder = OutputFolder(tmp_path_factory.mktemp("rsa"))
    folder.prepare({})
    chosen = options(searchlight={"region": "everything", "radius": 3.0}, partial=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bidsface_emotion_cnn.rsa_report.participant_figures", lambda *_: ())
        for number in range(1, 9):
            regions = dict(REGIONS)
            if number == 8:
                del regions["noise"]
                regions["everything"] = Region("everything", np.arange(100), "some voxels")
            participant = make_participant(f"{number:02d}", 3, 0.8, regions=regions)
            results = analysis().participant(participant, chosen)
            unit = example_unit(participant.label, "rsa")
            folder.write(unit, results, example_provenance(participant.label))
    return folder.participant_results("rsa")


GROUP = {"searchlight": {"region": "everything", "radius": 3.0}, "partial": True}


@pytest.fixture(scope="module")
def group(people):
    return analysis().group(people, options(**GROUP))


def rdms_of(people, region):
    return np.array(
        [
            rows_of(one.table("dissimilarities"), roi_name=region)["value"].to_numpy()
            for one in people
            if region in set(one.table("dissimilarities")["roi_name"])
        ]
    )


def test_group_finds_the_planted_model(people, group):
    scores = table(group, "scores")
    model = pdist(list(POINTS.values()))
    alone = rows_of(scores, model_name="affect", given="none").set_index("roi_name")
    for region, n in (("signal", 8), ("noise", 7)):
        rdms, row = rdms_of(people, region), alone.loc[region]
        each = compare_rdms(rdms, model)
        assert row["value"] == pytest.approx(each.mean())
        assert row["n"] == n
        assert row["p"] == pytest.approx(signed_rank_p(each))
        assert row["p_classes"] == pytest.approx(mantel_test(rdms, model, seed=0).p)
        ceiling = noise_ceiling(rdms)
        assert (row["ceiling_low"], row["ceiling_high"]) == pytest.approx(ceiling)
        assert row["ci_low"] < row["value"] < row["ci_high"]
    assert alone.loc["signal", "p_fdr"] <= 0.05 < alone.loc["noise", "p_fdr"]
    assert alone.loc["signal", "ci_low"] > 0
    assert alone.loc["signal", "p_classes"] <= 2 / 120
    np.testing.assert_allclose(alone["p_fdr"], fdr(alone["p"]))
    given = rows_of(scores, model_name="affect", given="others").set_index("roi_name")
    assert given.loc["signal", "p_fdr"] <= 0.05
    assert given["ceiling_low"].isna().all()
    differences = table(group, "comparisons").set_index("roi_name")
    assert differences.loc["signal", "value"] > 0
    assert (differences["ci_low"] < differences["value"]).all()
    assert (differences["value"] < differences["ci_high"]).all()
    assert differences.loc["signal", "p_fdr"] <= 0.05
    assert any("noise has RDMs of 7 of 8 participants" in line for line in group.warnings)
    assert any("above 0 (FDR) in signal" in line for line in group.highlights)


def test_group_means_and_what_is_written(people, group):
    mean = rdms_of(people, "signal").mean(axis=0)
    np.testing.assert_allclose(squareform(group.matrices[0].frame), mean)
    pairs = rows_of(table(group, "dissimilarities"), roi_name="signal")
    np.testing.assert_allclose(pairs["value"], mean)
    np.testing.assert_allclose(pairs["sd"], rdms_of(people, "signal").std(axis=0, ddof=1))
    for item in group.tables:
        assert item.suffix in TABLE_SUFFIXES
        check_columns(item.frame, item.columns, "a table")
        assert item.entities == {"task": "film", "ses": "a"}
    names = [figure.name for figure in group.figures]
    assert names == ["rdm", "mds", "models", "rsasearchlight", "rsasearchlight"]
    assert all(len(render_svg(figure.draw)) > 1000 for figure in group.figures)
    assert {"nili2014", "schutt2023", "stelzer2013", "wilcoxon1945"} <= set(group.citations)
    assert len(group.summaries) == 2
    caption = group.summaries[0].caption
    assert "8 participants, 5 classes" in caption
    assert "(smallest: 0.00391 to 0.00781); p (classes)" in caption
    assert "(smallest: 0.00833 to 0.1, by the model)" in caption
    assert group.figures[-1].title == "RSA searchlight, task film, mean of 8 participants: groups"


def test_group_searchlight(people, group):
    maps = maps_of(group)
    assert set(maps) == {
        (stat, model) for stat in ("correlation", "p", "pfwe") for model in ("affect", "groups")
    }
    r = maps["correlation", "affect"]
    np.testing.assert_array_equal(r.voxels.index, np.arange(100))
    voxels = Voxels(GRID, np.arange(100))
    each = [
        next(item for item in one.maps if item.stat == "correlation").load(voxels) for one in people
    ]
    np.testing.assert_allclose(r.values, np.mean(each, axis=0), atol=1e-6)
    where = np.unravel_index(np.arange(100), GRID.shape)[0]
    assert (maps["pfwe", "affect"].values[where == 0] <= 0.05).mean() > 0.8
    assert (maps["pfwe", "affect"].values[where == 3] > 0.05).all()
    assert any("100 spheres are there in all 8 participants" in line for line in group.warnings)
    shared = analysis().group(people, options(**GROUP, group_orders="shared"))
    assert maps_of(shared)["p", "affect"].values.min() == pytest.approx(1 / 120, abs=1e-3)
    assert "stelzer2013" not in shared.citations


def test_what_was_found_can_be_written(found, group, tmp_path):
    folder = OutputFolder(tmp_path / "out")
    folder.prepare({})
    folder.write(example_unit("01", "rsa"), found, example_provenance())
    folder.write(example_unit(None, "rsa"), group, example_provenance())
    names = {path.name for path in (tmp_path / "out").rglob("*") if path.is_file()}
    start = "space-MNI152NLin2009cAsym_res-2"
    assert f"sub-01_ses-a_task-film_{start}_desc-rsa_stat-dissimilarity_statmap.nii.gz" in names
    assert "sub-01_ses-a_task-film_space-MNI152NLin2009cAsym_desc-rsa_dissimilarities.tsv" in names
    assert "ses-a_task-film_label-signal_desc-rsa_relmat.tsv" in names
    assert f"ses-a_task-film_{start}_desc-rsa_contrast-affect_stat-pfwe_statmap.nii.gz" in names


def test_maps_on_other_grids_leave_the_group_its_regions(people):
    """As in a study in the participants' own spaces."""
    moved = []
    for one in people[:3]:
        grid = replace(GRID, affine=GRID.affine + 0.5 * len(moved) * np.eye(4)[[0, 1, 2, 2]])
        maps = [_moved(item, grid) for item in one.maps]
        moved.append(replace(one, maps=maps))
    results = analysis().group(moved, options(**GROUP))
    assert not results.maps
    assert any("there are no maps of the group" in line for line in results.warnings)
    assert not table(results, "scores").empty
    assert "rsasearchlight" not in [figure.name for figure in results.figures]


def _moved(item, grid):
    def load(voxels):
        if voxels.grid is not grid:
            raise InputError("a.nii and b.nii lie on different grids")
        return item.load(Voxels(GRID, voxels.index))

    return replace(item, load=load, grid=lambda: grid)


def test_titles_of_maps_count_the_people_who_have_them(people):
    bare = replace(people[0], maps=())
    results = analysis().group([bare, *people[1:4]], options(**GROUP))
    titles = [figure.title for figure in results.figures]
    assert titles[-1] == "RSA searchlight, task film, mean of 3 participants: groups"
    assert "4 participants" in titles[0]


def test_spheres_that_memory_does_not_hold_are_left_out(people, monkeypatch):
    monkeypatch.setattr("bidsface_emotion_cnn.rsa_memory.memory_bytes", lambda: 2**13)
    chosen = options(searchlight={"region": "everything", "radius": 3.0})
    message = "RDMs of 180 spheres with 10 pairs of 5 classes take .* use searchlight: null, a sm"
    own = analysis().participant(make_participant(), chosen)
    assert not own.maps
    assert any(re.search(message, line) for line in own.warnings)
    assert set(table(own, "scores")["roi_name"]) == {"signal", "noise", "everything"}
    assert "searchlight" not in own.methods
    results = analysis().group(people[:2], options(**GROUP))
    assert any("spheres of 2 participants with 10" in line for line in results.warnings)
    assert not table(results, "scores").empty


def test_figures_of_rdms_with_unknown_pairs():
    rdm = squareform(np.arange(1.0, 11))
    rdm[1, 3] = rdm[3, 1] = np.nan
    figure = rdm_figure({"some": rdm, "none": np.full((5, 5), np.nan)}, CLASSES, "1 - r")
    assert figure.axes[0].images[0].get_clim() == (0.0, 10.0)
    assert len(render_svg(figure)) > 1000
    alone = rdm_figure({"none": np.full((5, 5), np.nan)}, CLASSES, "1 - r")
    assert alone.axes[0].images[0].get_clim() == (0.0, 1.0)


def test_group_is_the_same_again(people, group):
    again = analysis().group(people, options(**GROUP))
    for one, other in zip(group.tables, again.tables, strict=True):
        pd.testing.assert_frame_equal(one.frame, other.frame)


def test_one_participant_has_no_inference_over_participants(people):
    results = analysis().group(people[:1], options())
    scores = table(results, "scores")
    assert scores[["p", "p_fdr", "ceiling_low"]].isna().all().all()
    assert scores["p_classes"].notna().all()
    assert scores["ci_low"].notna().any()  # over classes
    assert any("one participant only" in line for line in results.warnings)
    assert all("nan" not in line for line in [*results.highlights, *results.warnings])
    assert "nan" not in results.summaries[0].caption


def test_groups_share_classes_or_say_so(people):
    stored = people[:3]
    lacking = analysis().participant(
        make_participant("09", classes=("anger", "joy", "love", "sadness")), options(models={})
    )
    results = analysis().group([*stored, store("09", lacking)], options(models={"affect": AFFECT}))
    assert list(results.matrices[0].frame) == ["anger", "joy", "love", "sadness"]
    assert any("without fear (lacking in 09)" in line for line in results.warnings)
    other = analysis().participant(
        make_participant("10", classes=("fear", "joy", "love")), options(models={})
    )
    with pytest.raises(InputError, match="share 2 classes"):
        analysis().group([store("09", lacking), store("10", other)], options())
    with pytest.raises(InputError, match="no participant has an RDM: wanted 3 classes"):
        analysis().group([store("11", Results())], options())


def test_a_participant_without_a_class_leaves_the_group_its_other_models(people):
    """The first model cannot tell the classes apart that all participants have."""
    models = {"joy": {"classes": [["joy"], ["anger", "fear", "love", "sadness"]]}, "affect": AFFECT}
    lacking = make_participant("09", classes=("anger", "fear", "love", "sadness"))
    own = analysis().participant(lacking, options(models=models))
    assert set(table(own, "scores")["model_name"]) == {"affect"}
    results = analysis().group([*people[:3], store("09", own)], options(models=models))
    assert set(table(results, "scores")["model_name"]) == {"affect"}
    assert any("model joy was left out, models.joy.classes" in one for one in results.warnings)
    without = analysis().group(
        [*people[:3], store("09", own)], options(models={"joy": models["joy"]})
    )
    assert [item.suffix for item in without.tables] == ["dissimilarities"]


def test_group_without_models_or_intervals(people):
    results = analysis().group(people, options(models={}))
    assert [item.suffix for item in results.tables] == ["dissimilarities"]
    assert [figure.name for figure in results.figures] == ["rdm", "mds"]
    bare = analysis().group(people, options(bootstrap=0))
    assert table(bare, "scores")["ci_low"].isna().all()
    assert "schutt2023" not in bare.citations


@pytest.mark.parametrize(
    ("n_participants", "n_classes", "resample", "found"),
    [
        (5, 5, "both", "both"),
        (5, 3, "both", "participants"),
        (1, 5, "both", "conditions"),
        (1, 3, "both", None),
        (1, 5, "participants", None),
        (5, 5, "conditions", "conditions"),
    ],
)
def test_what_can_be_resampled(n_participants, n_classes, resample, found):
    assert resampled_over(n_participants, n_classes, options(resample=resample)) == found
    assert resampled_over(n_participants, n_classes, options(bootstrap=0)) is None


# Options and files of models


def write(path, rows):
    path.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


RIGHT = [
    ["row_name", "b", "a", "c"],
    ["a", "1", "0", "2"],
    ["b", "n/a", "1", "3"],
    ["c", "3", "2", "0"],
]


def test_a_matrix_file_is_read_by_its_names(tmp_path):
    path = write(tmp_path / "model.tsv", RIGHT)
    model = read_models(options(models={"own": path}))["own"]
    np.testing.assert_array_equal(model.rdm(("a", "b", "c"), "pearson"), [1, 2, 3])
    np.testing.assert_array_equal(model.rdm(("c", "a", "b"), "pearson"), [2, 3, 1])
    bare = write(tmp_path / "bare.tsv", [RIGHT[0][1:], *RIGHT[1:]])  # as R writes it
    same = read_models(options(models={"own": bare}))["own"]
    np.testing.assert_array_equal(same.matrix, model.matrix)
    analysis().check(options(models={"own": path}), ["averages"], ["signal"])
    assert [str(one) for one in analysis().files_used(options(models={"own": path}))] == [path]


def test_a_matrix_file_of_the_data_set(tmp_path):
    path = write(tmp_path / "model.tsv", RIGHT)
    chosen = options(models={"own": "bids::model.tsv"})
    own = Rsa("rsa", 1, bids_dir=tmp_path)
    own.check(chosen, ["averages"], ["signal"])
    assert [str(one) for one in own.files_used(chosen)] == [path]
    results = own.participant(make_participant(), chosen)
    assert any(f"model own was left out, {path}" in line for line in results.warnings)
    with pytest.raises(RecipeError, match="there is no data set"):
        analysis().check(chosen, ["averages"], ["signal"])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "found none and none"),
        ([["x", "a"], ["a", "0"]], "the same classes"),
        ([*RIGHT[:3], ["d", "3", "2", "0"]], "found b, a, c and a, b, d"),
        ([*RIGHT[:3], ["a", "3", "2", "0"]], "each once"),
        ([*RIGHT[:3], ["c", "3", "2"]], "the same classes"),
        ([*RIGHT[:3], ["c", "3", "?", "0"]], "wanted a number for c and a, found '\\?'"),
        ([*RIGHT[:3], ["c", "3", "n/a", "0"]], "wanted a number for c and a, found 'n/a'"),
        ([*RIGHT[:3], ["c", "3", "2.5", "0"]], "wanted a symmetric matrix; found 2 for a and c"),
        ([*RIGHT[:3], ["c", "3", "2", "1"]], "0 on the diagonal; found 1 for c and c"),
    ],
)
def test_wrong_matrix_files_are_named(tmp_path, rows, message):
    path = write(tmp_path / "model.tsv", rows)
    with pytest.raises(InputError, match=message) as error:
        analysis().check(options(models={"own": path}), ["averages"], ["signal"])
    assert str(error.value).startswith(path)


def test_files_that_cannot_be_read_are_named(tmp_path):
    for path in (tmp_path / "none.tsv", tmp_path):
        with pytest.raises(InputError, match="cannot be read as a matrix"):
            read_models(options(models={"own": str(path)}))


def test_models_must_know_the_classes_and_tell_them_apart():
    models = read_models(
        options(models={"two": {"columns": {"joy": 1, "fear": 2}}, "groups": GROUPS})
    )
    with pytest.raises(InputError, match=r"models.two.columns: wanted .* without anger"):
        models["two"].rdm(CLASSES, "pearson")
    with pytest.raises(InputError, match=r"models.groups.classes: wanted dissimilarities that dif"):
        models["groups"].rdm(("fear", "love", "sadness"), "pearson")


def test_models_that_do_not_fit_a_participant_are_left_out():
    two = {"columns": {"joy": 1, "fear": 2}}
    results = analysis().participant(
        make_participant(), options(models={"two": two, "affect": AFFECT}, partial=True)
    )
    scores = table(results, "scores")
    assert set(scores["model_name"]) == {"affect"}
    assert set(scores["given"]) == {"none"}
    assert any("model two was left out, models.two.columns: wan" in one for one in results.warnings)
    alone = analysis().participant(make_participant(), options(models={"two": two}))
    assert [item.suffix for item in alone.tables] == ["dissimilarities"]


def test_tasks_that_lack_the_classes_are_left_out():
    rng = np.random.default_rng(0)
    kinds = {
        ("averages", "film"): task_samples(rng, 1.0),
        ("averages", "faces"): task_samples(rng, 1.0, "faces", ("fear", "joy", "love")),
    }
    participant = MemoryParticipant("01", kinds, ("faces", "film"), ("averages",), REGIONS, False)
    results = analysis().participant(participant, options(classes=["anger", "joy", "love"]))
    assert {one.entities["task"] for one in results.tables} == {"film"}
    assert any("left out, task faces: wanted the classes anger" in one for one in results.warnings)
    with pytest.raises(InputError, match=r"task faces: .*; task film: wanted the classes disgust"):
        analysis().participant(participant, options(classes=["disgust", "joy", "love"]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dissimilarity": "cityblock"}, "dissimilarity"),
        ({"models": {"a-b": AFFECT}}, "models"),
        ({"models": {"a": {"columns": {"joy": 1, "fear": [1, 2]}}}}, "as many numbers"),
        ({"models": {"a": {"classes": [["joy"], ["joy", "fear"]]}}}, "joy cannot be in two groups"),
        ({"models": {"a": {"classes": [["joy"]]}}}, "models"),
        ({"partial": True, "statistic": "kendall"}, "pearson or spearman, found kendall"),
        ({"partial": True, "models": {"affect": AFFECT}}, "two models at least"),
        ({"statistic": "cosine"}, "cosine is for dissimilarity: crossnobis, found euclidean"),
        ({"statistic": "cosine", "dissimilarity": "correlation"}, "found correlation"),
        ({"counts": "some"}, "counts"),
        ({"draws": 0}, "draws"),
        ({"classes": ["joy", "fear"]}, "at least three"),
        ({"searchlight": {"radius": 0}}, "radius"),
        ({"permutations": 0}, "permutations"),
    ],
)
def test_wrong_options_are_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        options(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"samples": "trials"}, "samples: no 'trials'"),
        ({"regions": ["thalamus"]}, "regions: no 'thalamus'"),
        ({"searchlight": {"region": "thalamus"}}, "searchlight.region: no 'thalamus'"),
    ],
)
def test_names_are_checked_before_data_are_read(changes, message):
    with pytest.raises(RecipeError, match=message):
        analysis().check(options(**changes), ["averages"], ["signal"])


def test_regions_that_are_read():
    assert analysis().regions_used(options()) is None
    assert analysis().regions_used(options(regions=["a"])) == ["a"]
    light = {"searchlight": {"region": "b"}}
    assert analysis().regions_used(options(regions=["a"], **light)) == ["a", "b"]
    assert analysis().regions_used(options(regions=["a"], searchlight={})) is None
    assert options(dissimilarity="crossnobis").normalization == "shrinkage"
    assert options().normalization == "none"
    assert options(statistic="cosine", dissimilarity="crossnobis").statistic == "cosine"
