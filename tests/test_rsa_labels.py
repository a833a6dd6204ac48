"""`rsa` of labelled volumes: emotions of a film that observers annotated, and of events."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from decoding_study import GRID, MemoryParticipant, store
from pydantic import ValidationError
from scipy.spatial.distance import pdist

from bidsface.analysis import BoldRun, Region, Voxels
from bidsface.errors import InputError, RecipeError
from bidsface_emotion_cnn.rsa import Rsa, RsaOptions

EMOTIONS = ("ANGER", "FEAR", "JOY", "LOVE")
POINTS = np.array([[-0.8, 0.9], [-0.6, 0.2], [0.9, 0.6], [0.4, -0.9]])
TR, N_VOLUMES = 2.0, 96
BRAIN = np.arange(10, 180)
AFFECT = {"columns": dict(zip(EMOTIONS, POINTS.tolist(), strict=True))}


def shown(run):
    """The emotion of every volume of a run: scenes of three volumes."""
    rng = np.random.default_rng(run)
    return np.repeat(rng.permutation(np.tile(np.arange(4), N_VOLUMES // 12)), 3)


def make_run(run, seed, effect, task="film"):
    rng = np.random.default_rng([seed, run])
    series = 100 + rng.standard_normal((N_VOLUMES, len(BRAIN)))
    axes = np.random.default_rng(7).choice([-1.0, 1.0], size=(2, 50))
    seen = np.concatenate([np.zeros(2, int), shown(run)])[:N_VOLUMES]  # 4 s later
    series[:, :50] += effect * POINTS[seen] @ axes
    trend = np.linspace(-30, 30, N_VOLUMES)
    return BoldRun(
        f"task-{task}_run-{run}",
        {"task": task, "run": str(run), "space": GRID.space},
        TR,
        TR * (0.5 + np.arange(N_VOLUMES)),
        pd.DataFrame({"onset": [0.0], "duration": [0.0], "trial_type": ["x"]}),
        pd.DataFrame(),
        pd.DataFrame({"trans_x": trend}),
        lambda fwhm: (series + trend[:, None]).astype(np.float32),
    )


class FilmParticipant(MemoryParticipant):
    """With runs of a film; regions reach beyond the brain."""

    brain = property(lambda self: Voxels(GRID, BRAIN))

    def bold_runs(self, task):
        return [make_run(run, int(self.label), 1.0, task) for run in (1, 2)]


def person(label="1", tasks=("film",)):
    regions = {
        "signal": Region("signal", np.arange(0, 60), "planted"),
        "noise": Region("noise", np.arange(100, 150), "noise"),
    }
    return FilmParticipant(label, {}, tasks, (), regions)


@pytest.fixture
def films(tmp_path):
    """Three observers who agree."""
    length = TR * N_VOLUMES
    rows = [
        (start * TR + length * (run - 1), (start + 3) * TR + length * (run - 1), EMOTIONS[code])
        for run in (1, 2)
        for start, code in zip(range(0, N_VOLUMES, 3), shown(run)[::3], strict=True)
    ]
    frame = pd.DataFrame(rows, columns=["start", "end", "emotion"])
    folder = tmp_path / "stimuli"
    folder.mkdir()
    for observer in "abc":
        frame.to_csv(folder / f"{observer}.csv", index=False)
    return tmp_path


def options(**changes):
    labels = {
        "source": "annotations",
        "files": ["bids::stimuli/*.csv"],
        "segments": [{"start": 0, "end": 192}, {"start": 192, "end": 384}],
    }
    labels |= changes.pop("labels", {})
    return RsaOptions(labels=labels, models={"affect": AFFECT}, **changes)


@pytest.mark.parametrize("dissimilarity", ["correlation", "crossnobis"])
def test_emotions_of_a_film(films, dissimilarity):
    analysis = Rsa("rsa", 1, bids_dir=films)
    chosen = options(
        dissimilarity=dissimilarity, noise="diagonal", searchlight={"region": "signal"}
    )
    analysis.check(chosen, (), ("signal", "noise"))
    assert [path.name for path in analysis.files_used(chosen)] == ["a.csv", "b.csv", "c.csv"]
    results = analysis.participant(person(), chosen)
    scores = results.tables[1].frame.set_index("roi_name")
    assert scores.loc["signal", "value"] > 0.8
    assert scores.loc["noise", "value"] < 0.75
    assert scores.loc["signal", "n_voxels"] == 50  # ten lie outside of the brain
    assert results.tables[0].entities == {"task": "film", "space": GRID.space}
    assert list(results.matrices[0].frame) == list(EMOTIONS)
    assert "labs2015" in results.citations
    assert "drifts slower than 128 s and the chosen confounds were removed" in results.methods
    assert {item.stat for item in results.maps} >= {"dissimilarity", "correlation"}


def test_drifts_and_confounds_are_removed(films):
    analysis = Rsa("rsa", 1, bids_dir=films)
    clean = analysis.participant(person(), options(dissimilarity="euclidean"))
    keep = {"high_pass": None, "confounds": False}
    raw = analysis.participant(person(), options(dissimilarity="euclidean", labels=keep))
    model = pdist(POINTS)
    fits = [np.corrcoef(one.tables[0].frame["value"][:6], model)[0, 1] for one in (clean, raw)]
    assert fits[0] > fits[1] + 0.1
    assert "removed" not in raw.methods
    assert "smoothed" not in raw.methods
    smooth = analysis.participant(person(), options(labels={"smoothing_fwhm": 6.0}))
    assert "a Gaussian of full width at half maximum 6 mm. From every run" in smooth.methods
    assert smooth.methods.startswith("3 observers had noted the emotions")


def test_wrong_labels_are_refused(films):
    with pytest.raises(ValidationError, match="samples is of no use"):
        options(samples="averages")
    with pytest.raises(ValidationError, match="needs the files of the observers"):
        RsaOptions(labels={"source": "annotations"})
    analysis = Rsa("rsa", 1, bids_dir=films)
    with pytest.raises(RecipeError, match=r"labels.files: bids::none/\*.csv is no file"):
        analysis.check(options(labels={"files": ["bids::none/*.csv"]}), (), ("signal",))
    with pytest.raises(RecipeError, match=r"names no kind of them .* \(option labels\)"):
        analysis.check(RsaOptions(), (), ("signal",))
    # Events of duration 0 label no volume.
    with pytest.raises(InputError, match="no volume has a label"):
        analysis.participant(person(), RsaOptions(labels={"source": "events"}))


def test_a_film_is_not_put_on_every_task(films):
    """Runs of retinotopy have the numbers of the film's runs."""
    analysis = Rsa("rsa", 1, bids_dir=films)
    both = person(tasks=("film", "retmap"))
    message = "task-film_run-1 and task-retmap_run-1 would both show .* keep one by option tasks"
    with pytest.raises(InputError, match=message):
        analysis.participant(both, options())
    results = analysis.participant(both, options(tasks=["film"]))
    assert {item.entities["task"] for item in results.tables} == {"film"}
    # What is in full names is of one task; the runs of the other are told.
    segments = [
        {"start": 0, "end": 192, "run": "task-film_run-1"},
        {"start": 192, "end": 384, "run": "task-film_run-2"},
    ]
    named = analysis.participant(both, options(labels={"segments": segments}))
    assert {item.entities["task"] for item in named.tables} == {"film"}
    assert any("tasks film, retmap are all taken to show" in line for line in named.warnings)
    assert any(
        "task-retmap_run-2: labels.segments names no part" in line for line in named.warnings
    )
    # Events say by themselves what a task shows.
    with pytest.raises(InputError, match="no volume has a label"):
        analysis.participant(both, RsaOptions(labels={"source": "events"}))


def test_people_of_other_repetition_times_are_not_averaged(films):
    analysis = Rsa("rsa", 1, bids_dir=films)
    chosen = options()
    found = analysis.participant(person(), chosen)
    runs = next(item for item in found.tables if item.suffix == "runs")
    assert list(runs.frame["block"]) == ["task-film_run-1", "task-film_run-2"]
    assert set(runs.frame["repetition_time"]) == {TR}
    assert runs.frame["n"].sum() == 2 * (N_VOLUMES - 2)
    assert set(runs.columns) == set(runs.frame)
    slower = replace(runs, frame=runs.frame.assign(repetition_time=2.5))
    other = replace(found, tables=[slower if item is runs else item for item in found.tables])
    people = [store("1", found), store("2", other)]
    message = r"differ \(2 s in sub-1, task-film_run-1, 2.5 s in sub-2, .* labels.repetition_time"
    with pytest.raises(InputError, match=message):
        analysis.group(people, chosen)
    divided = options(labels={"repetition_time": 2.0})
    assert analysis.group(people, divided).tables
    assert analysis.group([people[0], people[0]], chosen).tables
