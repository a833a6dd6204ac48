"""Tables as the participant level of `crossmodal` writes them, with known effects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from bidsface.analysis import ParticipantResults, StoredTable

CLASSES = ("anger", "disgust", "joy")
REGIONS = (
    *("greymatter", "union", "displayregion", "observeregion", "intersection", "displayobserve"),
    *("amygdala", "insula", "thalamus", "cingulate", "SI", "SII", "motor", "premotor"),
    *("inferioroccipital", "fusiform", "STS", "MT"),
)
WITHIN_DISPLAY = ("display", "display", np.nan)
WITHIN_OBSERVE = ("observe", "observe", np.nan)
CONDITIONS = (
    WITHIN_DISPLAY,
    WITHIN_OBSERVE,
    ("display", "observe", "none"),
    ("display", "observe", "bcca"),
    ("observe", "display", "none"),
    ("observe", "display", "bcca"),
)
ACCURACY = {
    ("display", "display"): 0.55,
    ("observe", "observe"): 0.45,
    ("display", "observe"): 0.36,
    ("observe", "display"): 0.36,
}
"""Chance of a sample to be recognized in the tests' made-up regions, by tasks."""

SCORE_COLUMNS = (
    *("roi_name", "estimator", "aligner", "motion", "samples", "train_task", "test_task"),
    *("metric", "class", "fold", "value", "chance", "p", "p_fdr", "p_fwe", "n"),
)


@dataclass(frozen=True)
class Study:
    """What the tables hold.

    ``effect(region, train, test, aligner)`` is the chance of a sample to be recognized;
    ``displacement`` the mean framewise displacement (mm) of participants, by task, and ``pull`` how
    much of it adds to a participant's accuracy.
    """

    n: int = 12
    regions: Sequence[str] = REGIONS
    conditions: Sequence[tuple] = CONDITIONS
    estimators: Sequence[str] = ("bayes",)
    samples: Sequence[str] = ("volumes",)
    motions: Sequence[str] = ("kept", "regressed")
    n_runs: int = 4
    per_class: int = 24
    permutations: int = 0
    control: float | None = 0.36
    spread: float = 0.03
    pull: float = 0.0
    seed: int = 0
    classes: Sequence[str] = CLASSES
    effects: Mapping[tuple, float] = field(default_factory=dict)

    def effect(self, region, train, test, aligner):
        """Of the most specific of (region, train, test, aligner), (region,), then of the tasks."""
        if (region, train, test, aligner) in self.effects:
            return self.effects[region, train, test, aligner]
        if (region,) in self.effects:
            return self.effects[region,]
        gain = 0.07 if aligner not in ("", "none") else 0.0
        return ACCURACY[train, test] + gain

    def lacks(self, region, train, test, aligner):
        return region == "displayobserve" and aligner == "none"


def make_participants(study: Study) -> list[ParticipantResults]:
    streams = np.random.SeedSequence(study.seed).spawn(study.n)
    return [
        _participant(f"{number:02d}", study, np.random.default_rng(stream))
        for number, stream in enumerate(streams, start=1)
    ]


def _participant(label, study, rng):
    tasks = list(
        dict.fromkeys(task for train, test, _ in study.conditions for task in (train, test))
    )
    displacement = {task: 0.1 + 0.2 * rng.random() for task in tasks}
    scores = [_displacement_row(task, value) for task, value in displacement.items()]
    predictions, permuted = [], {}
    own = study.spread * rng.standard_normal()
    for keys, chance in _tests(study):
        pulled = study.pull * (displacement[keys["test_task"]] - 0.2)
        share = np.clip(chance + own + pulled + 0.02 * rng.standard_normal(), 0.02, 0.98)
        counts = _counts(study, share, rng)
        scores.extend(_score_rows(keys, counts, study.classes))
        if keys["motion"] == "kept":
            predictions.append(_prediction_rows(keys, counts, study.classes))
        if study.permutations:
            n = study.n_runs * study.per_class * len(study.classes)
            null = rng.binomial(n, 1 / len(study.classes), study.permutations) / n
            permuted[test_name(keys)] = null
    tables = [
        ("scores", pd.DataFrame(scores, columns=list(SCORE_COLUMNS))),
        ("predictions", pd.concat(predictions, ignore_index=True)),
    ]
    if permuted:
        tables.append(("permutations", pd.DataFrame(permuted)))
    entities = {"sub": label, "desc": "crossmodal", "space": "MNI152NLin2009cAsym"}
    return ParticipantResults(
        label,
        tuple(StoredTable(suffix, entities, lambda frame=frame: frame) for suffix, frame in tables),
    )


def _tests(study):
    """Yield the columns that name a test, and the chance of a sample to be recognized."""
    for samples in study.samples:
        for train, test, aligner in study.conditions:
            word = aligner if isinstance(aligner, str) else ""
            keys = {"aligner": aligner, "samples": samples, "train_task": train, "test_task": test}
            for estimator in study.estimators:
                for motion in study.motions:
                    for region in study.regions:
                        if not study.lacks(region, train, test, word):
                            names = {"roi_name": region, "estimator": estimator, "motion": motion}
                            yield names | keys, study.effect(region, train, test, word)
            if study.control is not None and word in ("", "none"):
                names = {"roi_name": "motion", "estimator": "ridge", "motion": "kept"}
                yield names | keys, study.control


def test_name(keys):
    aligner = keys["aligner"]
    parts = [keys["samples"], keys["estimator"], f"{keys['train_task']}to{keys['test_task']}"]
    if isinstance(aligner, str) and aligner != "none":
        parts.append(aligner)
    return "_".join([*parts, keys["roi_name"]])


test_name.__test__ = False


def _counts(study, share, rng):
    """Return numbers of samples, shape (n_runs, true class, predicted class)."""
    n_classes = len(study.classes)
    shares = np.full((n_classes, n_classes), (1 - share) / (n_classes - 1))
    np.fill_diagonal(shares, share)
    return rng.multinomial(study.per_class, shares, size=(study.n_runs, n_classes))


def _score_rows(keys, counts, classes):
    n_classes = len(classes)
    recalls = np.diagonal(counts, axis1=1, axis2=2) / counts.sum(axis=2)
    overall = {**keys, "metric": "balanced_accuracy", "class": np.nan, "chance": 1 / n_classes}
    yield {**overall, "fold": "mean", "value": recalls.mean(axis=1).mean(), "n": counts.sum()}
    for run, value in enumerate(recalls.mean(axis=1), start=1):
        yield {**overall, "fold": str(run), "value": value, "n": counts[run - 1].sum()}
    for code, name in enumerate(classes):
        row = {**overall, "metric": "recall", "class": name}
        yield {**row, "fold": "mean", "value": recalls[:, code].mean(), "n": counts[:, code].sum()}


def _displacement_row(task, value):
    names = {"roi_name": "motion", "train_task": task, "test_task": task}
    return names | {"metric": "framewise_displacement", "value": value, "fold": np.nan}


def _prediction_rows(keys, counts, classes):
    runs, truth, predicted = np.indices(counts.shape)
    n = counts.ravel()
    names = np.array(classes, dtype=object)
    return pd.DataFrame(
        {
            **keys,
            "fold": np.repeat(runs.ravel() + 1, n).astype(str),
            "trial_type": names[np.repeat(truth.ravel(), n)],
            "predicted": names[np.repeat(predicted.ravel(), n)],
        }
    )
