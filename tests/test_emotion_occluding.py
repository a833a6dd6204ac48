"""Occlusion of held-out volumes: what is shown, what is tested, and what comes of both."""

from types import SimpleNamespace

import numpy as np
import pytest

from bidsface.analysis import Grid
from bidsface.derivatives.maps import map_file
from bidsface.derivatives.tables import check_columns

torch = pytest.importorskip("torch")

from bidsface_emotion_cnn import group, occluding  # noqa: E402
from bidsface_emotion_cnn.cross_validation import FoldOutcome, SchemeOutcome  # noqa: E402
from bidsface_emotion_cnn.file_labels import file_labels  # noqa: E402
from bidsface_emotion_cnn.networks import SmallEmotionCNN3D  # noqa: E402
from bidsface_emotion_cnn.occluding import box_grid, occlude  # noqa: E402
from bidsface_emotion_cnn.occlusion_regions import region_table  # noqa: E402
from bidsface_emotion_cnn.occlusion_results import occlusion_results  # noqa: E402
from bidsface_emotion_cnn.options import EmotionOptions  # noqa: E402
from bidsface_emotion_cnn.splits import Fold  # noqa: E402
from bidsface_emotion_cnn.tools import Tools  # noqa: E402
from bidsface_emotion_cnn.volume_set import VolumeSet  # noqa: E402

SHAPE, N_PEOPLE, N_EACH = (8, 8, 8), 3, 4
CLASSES = ("joy", "joy+", "радость")
TOOLS = Tools(
    lambda *keys: np.random.SeedSequence([len("".join(keys)), *map(ord, "".join(keys))]),
    lambda function, items: list(map(function, items)),
    lambda line: None,
    "cpu",
)


def cohort_of(seed=0):
    rng = np.random.default_rng(seed)
    n = N_PEOPLE * len(CLASSES) * N_EACH
    volumes = VolumeSet(
        rng.standard_normal((n, *SHAPE)).astype(np.float32),
        np.arange(n) % len(CLASSES),
        np.repeat(np.arange(N_PEOPLE), n // N_PEOPLE),
        np.zeros(n, np.int64),
        np.arange(float(n)),
        CLASSES,
        ("01", "02", "03"),
        ("1",),
    )
    inside = np.ones(SHAPE, bool)
    inside[0] = False
    half = np.zeros(SHAPE, bool)
    half[4:] = True
    return SimpleNamespace(
        volumes=volumes,
        grid=Grid(SHAPE, np.diag([3.0, 3, 3, 1]), "MNI152NLin2009cAsym"),
        inside=inside,
        regions={"half": half, "nothing": np.zeros(SHAPE, bool)},
        entities={"task": "film"},
    )


def outcome_of(cohort, sure):
    """Two folds of untrained networks, and probabilities that are given."""
    torch.manual_seed(0)
    codes = cohort.volumes.codes
    probabilities = np.full((len(codes), 3), 0.05)
    probabilities[np.arange(len(codes)), codes] = np.where(sure, 0.9, 0.0)
    nothing = np.zeros(0, np.int64)
    folds = []
    for name, test in (("1", np.arange(20)), ("2", np.arange(20, len(codes)))):
        own = {"network": (probabilities[test], probabilities[:0])}
        model = SmallEmotionCNN3D(3).eval()
        fold = Fold(name, nothing, nothing, test)
        folds.append(FoldOutcome(fold, SimpleNamespace(model=model), own, {}))
    return SchemeOutcome("runs", folds, folds)


def options_of(**given):
    return EmotionOptions(occlusion={"per_class": 6, "stride": 3, **given})


def found_of(sure, monkeypatch, **given):
    """Return what is found, the options, and which volumes were looked at by what."""
    cohort, options, calls = cohort_of(), options_of(**given), {"boxes": [], "gradients": []}
    data = cohort.volumes.data

    def spy(name, function):
        def called(model, volume, *args, **kwargs):
            calls[name].append(int(np.flatnonzero((data == volume).all(axis=(1, 2, 3)))[0]))
            return function(model, volume, *args, **kwargs)

        return called

    monkeypatch.setattr(occluding, "occlusion_map", spy("boxes", occluding.occlusion_map))
    gradients = spy("gradients", occluding.integrated_gradients)
    monkeypatch.setattr(occluding, "integrated_gradients", gradients)
    grid = box_grid(cohort, options.occlusion)
    outcome = outcome_of(cohort, sure)
    return occlude(outcome, cohort, grid, options.occlusion, TOOLS), cohort, options, calls


def half_sure():
    return np.arange(N_PEOPLE * len(CLASSES) * N_EACH) % 2 == 0


def test_every_volume_is_occluded_once_and_gradients_are_of_shown_ones(monkeypatch):
    found, _, _, calls = found_of(half_sure(), monkeypatch)
    drawn = found.drawn
    assert len(drawn.tested) == 18
    assert set(drawn.shown) <= set(np.flatnonzero(half_sure()))
    assert not set(drawn.tested) <= set(np.flatnonzero(half_sure()))
    assert calls["boxes"] == drawn.rows.tolist()
    assert calls["gradients"] == drawn.shown.tolist()
    # Tests and shown maps are of their own volumes.
    assert found.region_names == ("half",)
    assert found.importance.shape == found.tested.t.shape == (3, found.grid.n_positions)
    assert not np.allclose(found.importance, found.tested.mean)
    assert np.isfinite(found.importance).all()
    assert set(found.gradients) == {"integrated-gradients", "smooth-grad"}
    assert all(np.isfinite(one).all() for one in found.gradients.values())


def test_means_are_those_of_the_volumes(monkeypatch):
    found, cohort, _, _ = found_of(half_sure(), monkeypatch)
    outcome, volumes = outcome_of(cohort, half_sure()), cohort.volumes
    for rows, mean in (
        (found.drawn.shown, found.importance),
        (found.drawn.tested, found.tested.mean),
    ):
        own = [row for row in rows if volumes.codes[row] == 1]
        by_person = {}
        for row in own:
            model = outcome.folds[int(row >= 20)].network.model
            change = occluding.occlusion_map(model, volumes.data[row], 2, 3, pad=True)[1].ravel()
            by_person.setdefault(volumes.participants[row], []).append(change)
        means = [np.mean(some, axis=0) for some in by_person.values()]
        np.testing.assert_allclose(mean[1], np.mean(means, axis=0), atol=1e-6)


def stats_of(maps):
    return {(one.entities["contrast"], one.stat) for one in maps}


def test_maps_and_tables_say_what_they_show(monkeypatch):
    found, cohort, options, _ = found_of(half_sure(), monkeypatch, gradients=[])
    results = occlusion_results(found, cohort, None, options, TOOLS)
    kinds = ("importance", "t", "p", "pfwe", "pfdr")
    labels = ("joy", "joy2", "class3")
    assert stats_of(results.maps) == {(label, kind) for label in labels for kind in kinds}
    assert {figure.name for figure in results.figures} == {f"occlusion{one}" for one in labels}
    for one in results.maps:
        assert b"".join(map_file(one))
        wanted = "recognized well" if one.stat == "importance" else "drawn whatever the network"
        assert wanted in one.description
    (table,) = results.tables
    check_columns(table.frame, table.columns, "regions")
    # Drops, their intervals and p are of one kind of volumes, what is shown of the other.
    np.testing.assert_allclose(
        table.frame["drop"], -np.nanmean(found.regions[:, :, 0], axis=0), atol=1e-12
    )
    np.testing.assert_allclose(table.frame["drop_shown"], -found.regions_shown[:, 0], atol=1e-12)
    assert table.frame["p"].notna().all()


def test_drops_are_tested_where_nothing_is_recognized(monkeypatch):
    found, cohort, options, calls = found_of(np.zeros(36, bool), monkeypatch)
    assert calls["gradients"] == []
    assert np.isnan(found.importance).all()
    assert found.n_shown.tolist() == [0, 0, 0]
    results = occlusion_results(found, cohort, None, options, TOOLS)
    assert {kind for _, kind in stats_of(results.maps)} == {"t", "p", "pfwe", "pfdr"}
    assert results.figures == []
    frame = region_table(found, cohort, TOOLS).frame
    assert frame["p"].notna().all()
    assert frame["drop_shown"].isna().all()
    assert (frame["n_shown"] == 0).all()
    assert any("joy: maps show 0 instead of 6 volumes" in note for note in results.warnings)


def test_the_group_says_so_and_goes_on(monkeypatch):
    cohort, options = cohort_of(), options_of()
    cohort.blocks = SimpleNamespace(full=cohort.grid)
    monkeypatch.setattr(group, "atlas_for", lambda *args: 1 / 0)
    grid = box_grid(cohort, options.occlusion)
    outcome = outcome_of(cohort, np.zeros(36, bool))
    tests, said = group._inside_results([], outcome, cohort, grid, options, TOOLS)
    assert {kind for _, kind in stats_of(tests.maps)} == {"t", "p", "pfwe", "pfdr"}
    (text,) = said.warnings
    assert text.startswith("no held-out volume was classified correctly with a probability above")
    assert "tested all the same" in text
    assert group._inside_results([], outcome, cohort, None, options, TOOLS) == []


def test_maps_of_networks_that_are_too_sure_can_be_written(monkeypatch):
    found, cohort, options, _ = found_of(half_sure(), monkeypatch, gradients=[])
    n = found.grid.n_positions
    same = np.full((3, 3, n), -0.25)
    same[:, 1] = -1.1e-16
    tested = occluding.group_occlusion(same, 9, np.random.SeedSequence(0))
    odd = SimpleNamespace(**{**vars(found), "tested": tested})
    maps = occlusion_results(odd, cohort, None, options, TOOLS).maps
    assert ("joy", "t") in stats_of(maps)
    assert ("joy2", "t") not in stats_of(maps)
    for one in maps:
        assert b"".join(map_file(one))


# --- names of classes in names of files


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (("FEAR", "LOVE"), ("FEAR", "LOVE")),
        (("радость", "страх"), ("class1", "class2")),
        (("happy+", "happy-"), ("happy", "happy2")),
        # Who is called so already keeps the name.
        (("happy 1", "happy1", "happy+", "happy"), ("happy12", "happy1", "happy2", "happy")),
        (("Fear", "fear"), ("Fear", "fear2")),
        (("?", "class1", "class 1"), ("class12", "class1", "class13")),
        (("naïve", "joie de vivre"), ("naive", "joiedevivre")),
        ((), ()),
    ],
)
def test_labels_are_letters_and_digits_and_differ(names, labels):
    assert file_labels(names) == labels
    assert len({label.lower() for label in labels}) == len(names)
