"""Second level: nilearn's tests, corrections at their rates, maps without a participant."""

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from glm_study import (
    ACTIVE,
    BRAIN,
    GRID,
    N_VOXELS,
    effect_maps,
    image,
    make_participant,
    mask_image,
    store,
    the_map,
)
from nilearn.glm.second_level import SecondLevelModel, non_parametric_inference
from nilearn.reporting import get_clusters_table
from scipy import stats
from scipy.ndimage import gaussian_filter

from bidsface.analysis import Map, Results, Voxels
from bidsface.anatomy import Atlas
from bidsface.derivatives.tables import check_columns
from bidsface.errors import InputError
from bidsface.statistics import fdr
from bidsface_glm.analysis import Glm
from bidsface_glm.clusters import cluster_rows
from bidsface_glm.cohort import find_cells, read_covariates, read_effects
from bidsface_glm.corrections import CORRECTIONS, Corrected, GroupMap
from bidsface_glm.options import GlmOptions
from bidsface_glm.overlap import Overlap
from bidsface_glm.second_level import (
    can_leave_one_out,
    fit_group,
    group_design,
    leave_one_out_t,
    permutation_test,
)

N = 10
NONE = np.empty((N, 0))


def draw(seed=0, n=N, effect=0.0):
    values = np.random.default_rng(seed).standard_normal((n, N_VOXELS))
    values[:, ACTIVE] += effect
    return values


def analyse(participants, table=None, seed=0, **given):
    analysis = Glm("activation", seed, participants_table=table)
    return analysis.group(participants, GlmOptions.model_validate(given))


def ages(values, labels=None):
    labels = labels or [f"{number:02d}" for number in range(1, len(values) + 1)]
    return pd.DataFrame({"age": [str(value) for value in values]}, index=labels)


# --- equality with nilearn


def test_mean_and_covariate_equal_nilearn():
    effects = draw(effect=1.0)
    age = np.random.default_rng(1).uniform(20, 60, N)
    design = group_design(age[:, None])
    model = SecondLevelModel(mask_img=mask_image(), minimize_memory=True)
    frame = pd.DataFrame(design, columns=["intercept", "age"])
    model.fit([image(row) for row in effects], design_matrix=frame)
    for column, name in enumerate(frame):
        ours = fit_group(effects, design, column)
        theirs = model.compute_contrast(name, output_type="all")
        for stat, key in (
            ("effect", "effect_size"),
            ("variance", "effect_variance"),
            ("t", "stat"),
            ("z", "z_score"),
        ):
            values = theirs[key].get_fdata().ravel()[BRAIN.index]
            np.testing.assert_allclose(getattr(ours, stat), values, rtol=1e-6, atol=1e-9)


def test_mean_is_the_one_sample_t_test():
    effects = draw(effect=1.0)
    ours = fit_group(effects, group_design(NONE), 0)
    theirs = stats.ttest_1samp(effects, 0)
    np.testing.assert_allclose(ours.t, theirs.statistic)
    np.testing.assert_allclose(ours.p, theirs.pvalue)
    one = fit_group(effects, group_design(NONE), 0, two_sided=False)
    np.testing.assert_allclose(one.p, stats.ttest_1samp(effects, 0, alternative="greater").pvalue)


def test_permutation_has_nilearns_statistics_and_draws():
    effects = draw(effect=4.0)
    frame = pd.DataFrame({"intercept": np.ones(N)})
    theirs = non_parametric_inference(
        [image(row) for row in effects],
        design_matrix=frame,
        mask=mask_image(),
        n_perm=200,
        two_sided_test=True,
        random_state=int(np.random.SeedSequence(5).generate_state(1)[0]),
    )
    expected = 10.0 ** -theirs.get_fdata().ravel()[BRAIN.index]
    ours = permutation_test(effects, group_design(NONE), 0, 200, True, np.random.SeedSequence(5))
    # Where draws repeat the observed signs, rounding decides in nilearn; here they count.
    np.testing.assert_allclose(ours.p, expected, atol=1 / 201 + 1e-9)
    assert ours.p[ACTIVE].mean() < 0.05
    assert np.mean(np.delete(ours.p, ACTIVE) < 0.05) < 0.01


# --- null rates


def test_uncorrected_p_is_uniform_without_effects():
    p = np.concatenate([fit_group(draw(seed), group_design(NONE), 0).p for seed in range(20)])
    assert np.mean(p < 0.05) == pytest.approx(0.05, abs=0.006)
    assert np.mean(p < 0.001) == pytest.approx(0.001, abs=0.0008)


def any_significant(name, seed, covariates=NONE, column=0, **given):
    options = GlmOptions.model_validate({"n_permutations": 99, **given})
    effects, design = draw(seed, len(covariates)), group_design(covariates)
    found = fit_group(effects, design, column, options.two_sided)
    group = GroupMap(effects, design, column, found, BRAIN)
    corrected = CORRECTIONS[name](group, options, np.random.SeedSequence(seed))
    return corrected[-1].significant.any()


@pytest.mark.parametrize(
    ("name", "repeats"), [("fdr", 200), ("bonferroni", 200), ("permutation", 150)]
)
def test_corrections_keep_their_rate_without_effects(name, repeats):
    hits = sum(any_significant(name, 1000 + seed) for seed in range(repeats))
    low, high = stats.binom.ppf([0.001, 0.999], repeats, 0.05)
    assert low <= hits <= high


def test_permutation_of_a_covariate_keeps_its_rate():
    rng = np.random.default_rng(3)
    hits = sum(
        any_significant("permutation", seed, rng.standard_normal((N, 2)), column=1)
        for seed in range(150)
    )
    low, high = stats.binom.ppf([0.001, 0.999], 150, 0.05)
    assert low <= hits <= high


def test_few_participants_never_reach_what_their_signs_do_not_allow():
    """Three participants have eight sign flips: p is near 1/4 at least, whatever the voxels."""
    effects = draw(n=3, effect=50.0)
    p = permutation_test(
        effects, group_design(np.empty((3, 0))), 0, 499, True, np.random.SeedSequence(0)
    ).p
    assert p.min() > 0.15


# --- effects that are there


def test_planted_effect_is_found_by_every_correction():
    given = {"corrections": ("fdr", "bonferroni", "cluster", "permutation")}
    results = analyse(
        effect_maps(draw(effect=3.0)), n_permutations=200, permutation_clusters=True, **given
    )
    for end in ("Fdr", "Bonferroni", "Permutation", "PermutationCluster"):
        p = the_map(results, "p", f"all{end}").values
        assert p[ACTIVE].mean() < 0.05
        assert np.mean(np.delete(p, ACTIVE) < 0.05) < 0.02
    kept = the_map(results, "t", "allCluster").values
    assert (kept[ACTIVE] > 0).mean() > 0.9
    assert not np.delete(kept, ACTIVE).any()
    np.testing.assert_allclose(
        the_map(results, "p", "allFdr").values, fdr(the_map(results, "p", "all").values)
    )
    (table,) = results.tables
    assert table.suffix == "clusters"
    check_columns(table.frame, table.columns, "clusters")
    assert set(table.frame["correction"]) >= {"fdr", "bonferroni", "cluster", "permutation"}
    assert {figure.name for figure in results.figures} >= {"group", "groupFdr", "groupCluster"}


def test_cluster_rows_are_those_of_nilearns_table():
    smooth = gaussian_filter(np.random.default_rng(0).standard_normal(GRID.shape), 0.8)
    t = 10 * smooth.ravel()[BRAIN.index]
    significant = np.abs(t) > 2.0
    atlas = Atlas(GRID, np.zeros(int(np.prod(GRID.shape)), int), {}, "none")
    corrected = Corrected("fdr", "Fdr", "", significant, None)
    ours = cluster_rows(t, BRAIN, corrected, atlas, 8.0)
    shown = image(np.where(significant, t, 0.0))
    theirs = get_clusters_table(shown, 1.0, two_sided=True, min_distance=8.0)
    theirs["Cluster ID"] = theirs["Cluster ID"].astype(str)
    assert len(ours) > 20
    # nilearn leaves out numbers between positive and negative clusters.
    letters = [name.str.strip("0123456789") for name in (ours["cluster"], theirs["Cluster ID"])]
    np.testing.assert_array_equal(*letters)
    assert ours["cluster"].iloc[-1].startswith(str((letters[0] == "").sum()))
    assert (ours["peak_t"] < 0).any()
    assert ours["cluster"].str.contains("a").any()
    sizes = pd.to_numeric(theirs["Cluster Size (mm3)"], errors="coerce")
    np.testing.assert_allclose(ours["peak_t"], theirs["Peak Stat"].astype(float))
    np.testing.assert_allclose(ours[["x", "y", "z"]], theirs[["X", "Y", "Z"]].astype(float))
    np.testing.assert_array_equal(ours["size"], sizes)


def test_cluster_table_knows_places_and_sizes():
    effects = draw(effect=3.0)
    effects[:, ACTIVE[7]] += 30.0 + np.random.default_rng(0).uniform(0, 0.1, N)
    participants = [
        with_structures(one, np.where(np.isin(np.arange(N_VOXELS), ACTIVE), 1024, 2))
        for one in effect_maps(effects)
    ]
    (table,) = analyse(participants, corrections=("bonferroni",)).tables
    first = table.frame.iloc[0]
    index = np.array(np.unravel_index(BRAIN.index[ACTIVE[7]], GRID.shape))
    np.testing.assert_allclose(
        first[["x", "y", "z"]].astype(float), index @ GRID.affine[:3, :3] + GRID.affine[:3, 3]
    )
    assert first["structure"] == "ctx-lh-precentral"
    assert first["size"] % 36 == 0  # mm3 of a voxel
    found = the_map(analyse(participants, corrections=()), "t", "all").values
    assert first["peak_t"] == pytest.approx(found[ACTIVE[7]])


def with_structures(participant, indices):
    maps = [
        Map("index", indices.astype(float), BRAIN, {}, ""),
        Map("mean", np.full(N_VOXELS, 1.0), BRAIN, {}, ""),
    ]
    extra = store(participant.label, Results(maps=maps))
    return type(participant)(participant.label, maps=[*participant.maps, *extra.maps])


def test_atlas_file_names_peaks(tmp_path):
    labels = np.zeros(GRID.shape, np.int16)
    labels.flat[BRAIN.index[ACTIVE]] = 3
    nib.Nifti1Image(labels, GRID.affine).to_filename(tmp_path / "atlas.nii.gz")
    (tmp_path / "atlas.tsv").write_text("index\tname\n3\tplanted\n")
    given = {"corrections": ("bonferroni",), "atlas": str(tmp_path / "atlas.nii.gz")}
    (table,) = analyse(effect_maps(draw(effect=3.0)), **given).tables
    assert set(table.frame["structure"]) == {"planted"}
    with pytest.raises(InputError, match=r"none\.tsv: cannot be read as a lookup table"):
        analyse(effect_maps(draw()), **given, atlas_lookup=str(tmp_path / "none.tsv"))
    with pytest.raises(InputError, match="no such file"):
        analyse(effect_maps(draw()), atlas=str(tmp_path / "none.nii.gz"))


def test_negative_effects_count_on_two_sides_only():
    participants = effect_maps(draw(effect=-3.0))
    assert the_map(analyse(participants), "p", "allFdr").values[ACTIVE].max() < 0.05
    one = analyse(participants, two_sided=False, corrections=("fdr", "cluster"))
    assert the_map(one, "p", "allFdr").values[ACTIVE].min() > 0.05
    assert not the_map(one, "t", "allCluster").values[ACTIVE].any()


# --- covariates


def test_covariate_is_found_and_the_mean_is_at_its_mean():
    age = np.linspace(20, 60, N)
    effects = draw(seed=4)
    effects[:, ACTIVE] += 0.4 * age[:, None]
    results = analyse(
        effect_maps(effects),
        ages(age),
        covariates=("age",),
        corrections=("fdr", "permutation"),
        n_permutations=200,
    )
    slope = the_map(results, "effect", "allAge").values
    assert slope[ACTIVE].mean() == pytest.approx(0.4, abs=0.02)
    for end in ("Fdr", "Permutation"):
        p = the_map(results, "p", f"allAge{end}").values
        assert (p[ACTIVE] < 0.05).mean() > 0.9
        assert np.mean(np.delete(p, ACTIVE) < 0.05) < 0.02
    mean = the_map(results, "effect", "all").values
    np.testing.assert_allclose(mean, effects.mean(axis=0), atol=1e-6)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pd.DataFrame(), "no column 'age'.*none"),
        (pd.DataFrame({"sex": ["F"]}, index=["01"]), "no column 'age'.*sex"),
        (ages([20, 30, 40], ["01", "02", "03"]), "'age' is no number for sub-04.*no row"),
        (ages([20, "n/a", 40, 50]), r"'age' is no number for sub-02 \(sub-02: n/a\)"),
        (ages([20, 20, 20, 20]), "'age' is the same for all"),
    ],
)
def test_missing_covariates_are_named(table, message):
    with pytest.raises(InputError, match=message):
        analyse(effect_maps(draw(n=4)), table, covariates=("age",))


def test_covariates_keep_the_order_of_participants():
    table = ages([1, 2, 3], ["b", "a", "c"])
    options = GlmOptions(covariates=("age",))
    assert read_covariates(table, ["a", "b"], options).ravel().tolist() == [2, 1]


def test_covariates_that_explain_each_other_are_told():
    table = ages(range(6)).assign(twice=[str(2 * value) for value in range(6)])
    results = analyse(effect_maps(draw(n=6)), table, covariates=("age", "twice"))
    assert not results.maps
    assert any("explain each other" in warning for warning in results.warnings)


# --- leaving participants out


@pytest.mark.parametrize("n_covariates", [0, 2])
def test_leave_one_out_equals_the_model_without_the_participant(n_covariates):
    effects = draw(effect=1.0)
    covariates = np.random.default_rng(2).standard_normal((N, n_covariates))
    found = leave_one_out_t(effects, covariates)
    for left_out in range(N):
        kept = np.arange(N) != left_out
        frame = pd.DataFrame(
            covariates[kept] - covariates[kept].mean(axis=0),
            columns=[f"c{number}" for number in range(n_covariates)],
        )
        frame["intercept"] = 1.0
        model = SecondLevelModel(mask_img=mask_image())
        model.fit([image(row) for row in effects[kept]], design_matrix=frame)
        theirs = model.compute_contrast("intercept", output_type="stat").get_fdata()
        np.testing.assert_allclose(
            found[:, left_out], theirs.ravel()[BRAIN.index], rtol=1e-6, atol=1e-9
        )


def test_left_out_participant_changes_nothing_in_its_map():
    effects = draw(effect=1.0)
    poisoned = effects.copy()
    poisoned[3] = 1e6 * np.random.default_rng(9).standard_normal(N_VOXELS)
    clean, spoilt = (leave_one_out_t(values, NONE) for values in (effects, poisoned))
    np.testing.assert_array_equal(clean[:, 3], spoilt[:, 3])
    for other in np.delete(np.arange(N), 3):
        assert not np.allclose(clean[:, other], spoilt[:, other])


def test_leave_one_out_maps_are_named_after_who_is_left_out():
    results = analyse(effect_maps(draw(n=4), labels=["a", "b", "c", "d"]))
    found = the_map(results, "t", "allLeaveOneOut")
    assert found.volumes == ("sub-a", "sub-b", "sub-c", "sub-d")
    assert found.values.shape == (N_VOXELS, 4)
    without = analyse(effect_maps(draw(n=4)), leave_one_out=False)
    assert not [item for item in without.maps if item.volumes]


def test_leaving_one_out_needs_enough_participants():
    assert can_leave_one_out(np.empty((3, 0)))
    assert not can_leave_one_out(np.empty((2, 0)))
    assert not can_leave_one_out(np.array([[1.0], [1.0], [1.0], [1.0], [2.0]]))
    results = analyse(effect_maps(draw(n=2)))
    assert any("2 participants are too few to leave one out" in line for line in results.warnings)


# --- who is there


def test_one_participant_gets_no_inference():
    results = analyse(effect_maps(draw(n=1)))
    assert not results.maps
    assert results.warnings == [
        "task display, contrast all: one participant only, so there is no inference"
    ]
    assert analyse([store("01", Results())]).warnings == [
        "no participant has maps of this analysis"
    ]


def test_participants_who_lack_a_contrast_are_left_out_and_named():
    participants = effect_maps(draw(effect=1.0))
    extra = effect_maps(draw(n=3, seed=1), labels=["90", "91", "92"], task="observe")
    results = analyse([*participants, *extra])
    expected = stats.ttest_1samp(draw(effect=1.0), 0).statistic
    np.testing.assert_allclose(the_map(results, "t", "all").values, expected, rtol=1e-4, atol=1e-5)
    assert "task display, contrast all: without sub-90, sub-91, sub-92, who lack it" in (
        results.warnings
    )


def test_voxels_are_those_of_all_participants():
    variances = np.ones((N, N_VOXELS))
    variances[2, :5] = 0.0
    (cell,) = find_cells(effect_maps(draw(), variances))
    effects = read_effects(cell)
    np.testing.assert_array_equal(effects.voxels.index, BRAIN.index[5:])
    nothing = analyse(effect_maps(draw(), np.zeros((N, N_VOXELS))))
    assert any("no voxel in common" in warning for warning in nothing.warnings)


def test_own_spaces_are_refused():
    participants = effect_maps(draw(n=3))
    for participant in participants:
        for stored in participant.maps:
            stored.entities.pop("space")
    with pytest.raises(InputError, match="participants' own spaces"):
        analyse(participants)


# --- overlap


def test_overlap_counts_voxels_of_both_tasks():
    display, observe = draw(seed=1), draw(seed=2)
    display[:, 100:140] += 5.0
    observe[:, 120:180] += 5.0
    observe[:, 120:125] -= 10.0
    labels = [f"{number:02d}" for number in range(1, N + 1)]
    participants = [
        type(one)(one.label, maps=[*one.maps, *other.maps])
        for one, other in zip(
            effect_maps(display, labels=labels),
            effect_maps(observe, labels=labels, task="observe"),
            strict=True,
        )
    ]
    results = analyse(participants, corrections=("bonferroni", "fdr"))
    (row,) = results.summaries[1].frame.to_dict("records")
    first, second = (
        (the_map(results, "p", "allBonferroni", task).values < 0.05)
        * np.sign(the_map(results, "t", "all", task).values)
        for task in ("display", "observe")
    )
    assert row["both"] == np.sum((first == second) & (first != 0))
    assert row["opposite signs"] == np.sum((first == -second) & (first != 0)) > 0
    assert row["first only"] == np.sum((first != 0) & (second == 0)) > 10
    assert row["second only"] == np.sum((first == 0) & (second != 0)) > 20
    assert any(figure.name == "overlapDisplayObserve" for figure in results.figures)


def test_dice_is_that_of_the_definition():
    codes = np.repeat([0, 1, 2, 3], [10, 3, 1, 4])
    overlap = Overlap("all", ("a", "b"), codes, Voxels(GRID, np.arange(18)))
    assert overlap.dice == pytest.approx(2 * 4 / (7 + 5))
    nothing = Overlap("all", ("a", "b"), np.zeros(4, int), Voxels(GRID, np.arange(4)))
    assert np.isnan(nothing.dice)


# --- both levels together


def test_both_levels_find_the_planted_response():
    options = {"smoothing_fwhm": None, "contrasts": {"joy": "joy"}}
    analysis = Glm("activation", 0)
    participants = [
        store(label, analysis.participant(make_participant(label), GlmOptions(**options)))
        for label in ("01", "02", "03", "04", "05", "06")
    ]
    results = analyse(participants, **options)
    p = the_map(results, "p", "joyFdr").values
    assert (p[ACTIVE] < 0.05).mean() > 0.9
    assert np.mean(np.delete(p, ACTIVE) < 0.05) < 0.02
    assert "ctx-lh-precentral" in results.highlights[0]
    assert set(results.citations) >= {"holmes1998", "benjamini1995", "esterman2010"}


def test_results_depend_on_the_seed_and_on_nothing_else():
    participants = effect_maps(draw(effect=0.5))
    given = {"corrections": ("permutation",), "n_permutations": 50, "leave_one_out": False}
    first, again, other = (
        the_map(analyse(participants, seed=seed, **given), "p", "allPermutation").values
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
