"""Memory of labelled volumes: what is held at once, and what ``--mem`` and ``--dry-run`` count."""

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from emotion_observers import make_run, random_observers, write_observers
from test_emotion_gathering import AFFINE, stored_participant, volumes_table

from bidsface.analysis import Grid, Map, RunSize, StoredMap, StoredResults, StoredTable, Voxels
from bidsface.derivatives.maps import map_blocks, map_file, read_grid, read_map
from bidsface.errors import InputError
from bidsface_emotion_cnn.cleaning import cleaned_volumes, drifts, residuals, standardized
from bidsface_emotion_cnn.film_labels import film_labels
from bidsface_emotion_cnn.label_options import LabelOptions
from bidsface_emotion_cnn.rsa import Rsa, RsaLabels, RsaOptions
from bidsface_emotion_cnn.rsa_group_maps import _load
from bidsface_emotion_cnn.rsa_maps import pair_names
from bidsface_emotion_cnn.rsa_memory import GIB, refuse_too_large
from bidsface_emotion_cnn.rsa_volumes import labelled_samples
from bidsface_emotion_cnn.volume_counts import most_volumes
from bidsface_emotion_cnn.volume_labels import read_label_sources

SPACE = "MNI152NLin2009cAsym"
GRID = Grid((24, 28, 22), AFFINE, SPACE)
N_GRID = int(np.prod(GRID.shape))
COUNTERS = Path("/proc/self/io")


def peak_of(function):
    """The most memory that a call takes beside what is there already (bytes)."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def bytes_read():
    return int(COUNTERS.read_text().split()[1])


def brain_voxels():
    inside = np.zeros(GRID.shape, bool)
    inside[2:-3, 3:-2, 1:-4] = True
    return Voxels(GRID, np.flatnonzero(inside))


def labelled(n_volumes, voxels, seed=0):
    values = np.random.default_rng(seed).standard_normal((n_volumes, len(voxels.index)))
    return values.astype(np.float32).T


def written(folder, label, values, voxels):
    """What the participant level wrote, read back from files."""
    names = [f"volume{number}" for number in range(values.shape[1])]
    maps = []
    for stat, own, volumes in (("signal", values, names), ("mean", np.ones(len(values)), ())):
        path = folder / f"{label}-{stat}.nii.gz"
        path.write_bytes(b"".join(map_file(Map(stat, own, voxels, {}, "", volumes))))
        maps.append(
            StoredMap(
                stat,
                {"task": "film", "stat": stat},
                lambda at, path=path: read_map(path, SPACE, None, at),
                lambda path=path: read_grid(path, SPACE, None),
                volumes,
                lambda at, size, path=path: map_blocks(path, SPACE, None, at, size),
            )
        )
    table = volumes_table(["FEAR", "LOVE"] * (len(names) // 2) + ["FEAR"] * (len(names) % 2), "1")
    return StoredResults(label, [StoredTable("volumes", {"task": "film"}, lambda: table)], maps)


@pytest.fixture
def options():
    pytest.importorskip("torch")
    from bidsface_emotion_cnn.options import EmotionOptions

    return EmotionOptions()


@pytest.mark.parametrize("at_once", [1, 4, 5])
def test_blocks_of_volumes_change_no_bit(options, tmp_path, monkeypatch, at_once):
    from bidsface_emotion_cnn import gathering

    voxels = brain_voxels()
    people = [labelled(n_volumes, voxels, n_volumes) for n_volumes in (9, 16, 1)]
    table = [volumes_table(["FEAR", "LOVE"] * 8, "1")[: values.shape[1]] for values in people]
    stored = [
        stored_participant(f"0{number}", *own, GRID, voxels)
        for number, own in enumerate(zip(people, table, strict=True))
    ]
    (tmp_path / "whole").mkdir()
    whole = gathering.gather(stored, options, tmp_path / "whole")
    monkeypatch.setattr(gathering, "BLOCK_VALUES", at_once * N_GRID)
    parts = gathering.gather(stored, options, tmp_path)
    assert len(parts.volumes.data) == 26
    np.testing.assert_array_equal(parts.volumes.data, whole.volumes.data)
    for name, inside in whole.regions.items():
        np.testing.assert_array_equal(parts.regions[name], inside)


def test_the_group_level_holds_a_few_volumes(options, tmp_path, monkeypatch):
    from bidsface_emotion_cnn import gathering

    voxels, n_volumes = brain_voxels(), 160
    one = written(tmp_path, "01", labelled(n_volumes, voxels), voxels)
    gathering.gather([one], options, tmp_path)  # what is imported meanwhile does not count
    monkeypatch.setattr(gathering, "BLOCK_VALUES", 4 * N_GRID)
    peak = peak_of(lambda: gathering.gather([one], options, tmp_path))
    # 6.4 copies of all volumes when they were read at once.
    assert peak < 0.3 * n_volumes * N_GRID * 4


@pytest.mark.skipif(not COUNTERS.exists(), reason="only Linux counts what a process reads")
def test_a_file_is_read_once_however_small_the_blocks(tmp_path):
    voxels = brain_voxels()
    (stored, _) = written(tmp_path, "01", labelled(60, voxels), voxels).maps
    size = (tmp_path / "01-signal.nii.gz").stat().st_size
    before = bytes_read()
    assert sum(block.shape[1] for block in stored.blocks(voxels, 1)) == 60
    assert bytes_read() - before < 1.5 * size


def test_cleaning_in_blocks_is_that_of_the_whole_run(monkeypatch):
    rng = np.random.default_rng(5)
    series = (500 + 3 * rng.standard_normal((90, 3001))).astype(np.float32)
    regressors = np.hstack([drifts(2.0 * np.arange(90), 2.0, 60.0), rng.standard_normal((90, 4))])
    monkeypatch.setattr("bidsface_emotion_cnn.cleaning.COLUMNS_AT_ONCE", 1000)
    rows = np.array([3, 4, 80])
    left = residuals(series, regressors)
    mean = series.mean(axis=0, dtype=np.float64).astype(np.float32)
    for per_voxel, expected in ((True, standardized(left)), (False, left + mean)):
        found = np.empty((3, 3001), np.float32)
        cleaned_volumes(series, regressors, rows, per_voxel, found)
        np.testing.assert_allclose(found, expected[rows], rtol=1e-6, atol=1e-5)
    found = np.empty((3, 3001), np.float32)
    monkeypatch.setattr("bidsface_emotion_cnn.cleaning.COLUMNS_AT_ONCE", 100)
    peak = peak_of(lambda: cleaned_volumes(series, regressors, rows, True, found))
    assert peak < 0.5 * series.nbytes


def test_the_participant_level_holds_labelled_volumes_once_and_one_run(options, monkeypatch):
    from bidsface_emotion_cnn import participant as module

    voxels, n_volumes = brain_voxels(), 60
    run_bytes = n_volumes * len(voxels.index) * 4
    events = pd.DataFrame({"onset": [0.0, 60.0], "duration": 60.0, "trial_type": ["FEAR", "LOVE"]})

    def load(number):
        def series(fwhm):
            rng = np.random.default_rng(number)
            return rng.standard_normal((n_volumes, len(voxels.index)), np.float32)

        return series

    runs = [
        replace(make_run(number, n_volumes, events=events), load=load(number))
        for number in range(1, 7)
    ]

    class Person:
        label, tasks, brain, structures = "01", ("film",), voxels, None
        background = np.ones(GRID.shape, np.float32)

        def bold_runs(self, task):
            return runs

        def select_regions(self, names, *, optional=False):
            assert optional
            return []

    found = []
    own = options.model_copy(update={"labels": LabelOptions(shift=0)})
    monkeypatch.setattr("bidsface_emotion_cnn.cleaning.COLUMNS_AT_ONCE", 500)

    def gather():
        found[:] = [module.gather_volumes(Person(), own, np.random.SeedSequence(1))]

    gather()
    held = next(item for item in found[0].maps if item.stat == "signal").values
    assert held.nbytes == 6 * run_bytes
    assert [item.stat for item in found[0].maps] == ["mean", "signal"]
    found.clear()
    assert peak_of(gather) < 6 * run_bytes + 1.8 * run_bytes


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, 150),
        ({"classes": ("FEAR", "LOVE"), "per_class": 20}, 40),
        ({"classes": ("FEAR", "LOVE"), "per_class": 2000}, 150),
        ({"per_class": 20}, 150),
    ],
)
def test_labelled_volumes_of_events_are_counted_from_headers(given, expected):
    runs = [RunSize({"task": "film", "run": str(number)}, 50, 2.0) for number in (1, 2, 3)]
    runs.append(RunSize({"task": "rest"}, 300, 2.0))
    assert most_volumes(runs, LabelOptions(**given), ("film",), None) == expected


def test_labelled_volumes_of_a_film_are_those_that_observers_agree_on(tmp_path):
    files = write_observers(tmp_path, random_observers(3, length=300.0))
    options = LabelOptions(source="annotations", files=(files,))
    film = film_labels(read_label_sources(options), options, 2.0)
    expected = int((film.used != -1).sum())
    n_volumes = len(film.used)
    assert 0 < expected < n_volumes
    half = n_volumes // 2
    runs = [RunSize({"run": "1"}, half, 2.0), RunSize({"run": "2"}, n_volumes - half, 2.0)]
    assert most_volumes(runs, options, (), None) == expected
    assert most_volumes(runs[:1], options, (), None) <= half
    few = options.model_copy(update={"per_class": 2})
    assert most_volumes(runs, few, (), None) <= 2 * len(film.classes)
    # Shown twice, and finer than the film is divided.
    assert most_volumes([*runs, *runs], options, (), None) == 2 * expected
    fine = [RunSize(run.entities, 2 * run.n_volumes, 1.0) for run in runs]
    coarse = options.model_copy(update={"repetition_time": 2.0})
    assert most_volumes(fine, coarse, (), None) == 2 * expected
    gone = options.model_copy(update={"files": ("/nowhere/none.csv",)})
    assert most_volumes(runs, gone, (), None) == n_volumes


def test_searchlights_of_92_classes_fit_into_memory(monkeypatch):
    """RDMs of a whole brain in 2 mm are 3.8 GiB; images of them are never there as a whole."""
    monkeypatch.setattr("bidsface_emotion_cnn.rsa_memory.memory_bytes", lambda: 16 * GIB)
    refuse_too_large(240_816, 92)
    refuse_too_large(240_816, 92, 4)
    with pytest.raises(InputError, match=r"of 5 participants .* take 18.* and there are 16.0;"):
        refuse_too_large(240_816, 92, 5)
    monkeypatch.setattr("bidsface_emotion_cnn.rsa_memory.memory_bytes", lambda: 3 * GIB)
    with pytest.raises(InputError, match="240,816 spheres with 4,186 pairs of 92 classes"):
        refuse_too_large(240_816, 92)


def test_a_group_reads_rdms_of_spheres_in_single_precision(tmp_path, monkeypatch):
    monkeypatch.setattr("bidsface_emotion_cnn.rsa_group_maps.BLOCK_VALUES", 8 * N_GRID)
    voxels, classes = brain_voxels(), [f"c{number:02d}" for number in range(16)]
    names = pair_names(classes)
    values = labelled(len(names), voxels)
    path = tmp_path / "rdms.nii.gz"
    path.write_bytes(b"".join(map_file(Map("dissimilarity", values, voxels, {}, "", names))))
    stored = StoredMap(
        "dissimilarity",
        {},
        lambda at: read_map(path, SPACE, None, at),
        lambda: read_grid(path, SPACE, None),
        names,
        lambda at, size: map_blocks(path, SPACE, None, at, size),
    )
    wanted = pair_names([*classes[3:], *classes[:2]])[::-1]
    swapped = [name if name in names else " - ".join(name.split(" - ")[::-1]) for name in wanted]
    found = []
    assert peak_of(lambda: found.append(_load(stored, swapped, voxels))) < 1.5 * values.nbytes
    columns = [names.index(name) for name in swapped]
    np.testing.assert_array_equal(found[0], values[:, columns])
    assert found[0].dtype == np.float32


def test_rsa_counts_labelled_volumes_of_every_task():
    """Before any is read, for ``--mem`` and ``--dry-run``."""
    runs = [RunSize({"task": "film", "run": str(number)}, 50, 2.0) for number in (1, 2, 3)]
    runs.append(RunSize({"task": "rest"}, 300, 2.0))
    analysis = Rsa("rsa", 1)
    assert analysis.volumes_kept(RsaOptions(), runs) == 0
    assert analysis.volumes_kept(RsaOptions(labels={}), runs) == 450
    assert analysis.volumes_kept(RsaOptions(labels={}, tasks=("film",)), runs) == 150
    few = {"classes": ("FEAR", "JOY", "LOVE"), "per_class": 20}
    assert analysis.volumes_kept(RsaOptions(labels=few), runs) == 120


def test_rsa_cleans_runs_in_blocks(monkeypatch):
    voxels, n_volumes = brain_voxels(), 60
    run_bytes = n_volumes * len(voxels.index) * 4
    events = pd.DataFrame({"onset": [0.0, 20.0], "duration": 20.0, "trial_type": ["FEAR", "LOVE"]})

    def series(fwhm):
        rng = np.random.default_rng(3)
        values = rng.standard_normal((n_volumes, len(voxels.index)), np.float32)
        values += 100
        return values

    run = replace(make_run(1, n_volumes, events=events), load=series)

    class Person:
        brain = voxels

    Person.voxels = voxels.take(np.arange(0, len(voxels.index), 20))
    found, labels = [], RsaLabels(shift=0)
    monkeypatch.setattr("bidsface_emotion_cnn.cleaning.COLUMNS_AT_ONCE", 100)

    def label():
        seed = np.random.SeedSequence(1)
        found[:] = [labelled_samples(Person(), [run], labels, (), seed)[0]]

    label()  # what is imported meanwhile does not count
    assert peak_of(label) < 1.5 * run_bytes  # 4 runs when all of it was cleaned at once
    whole = residuals(series(None), drifts(run.times, 2.0, 128.0))
    kept = found[0].table["kept_index"].to_numpy()
    assert len(kept) == 20
    np.testing.assert_allclose(found[0].X, whole[kept][:, ::20], atol=1e-4)
