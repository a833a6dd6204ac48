"""A null distribution for labels that belong to a film: shift them against the predictions.

Emotions of a film last for many volumes, and so do responses of the brain: volumes are not
exchangeable, and a test that permutes them finds effects in noise. All participants have seen the
same film, so that the labels are one sequence, however many people watched: participants are not
exchangeable either. What may be exchanged, if the brain knows nothing of the emotions, is where in
a film segment its sequence of labels begins (as for correlations between viewers, Kauppi et al.
2010, Front Neuroinform 4:5). The sequence is closed to a ring and turned, in every segment by its
own amount, the same in all participants.

What is turned are blocks: stretches of volumes with one label and no other label between them.
Labelled volumes have gaps, mostly where the emotion changes; turning volume by volume puts changes
of the label where the predictions do not change, and rejects too often (docs/validation.md).

The labels of every segment have trained what predicts the others. Scores of folds therefore go
together, which shifts of the labels alone do not show: with predictions of a classifier that knows
none of the labels the test holds its level, with predictions of folds of one film it did not (6 to
8 % at a level of 5 %, 2 to 3 % at 1 %). Scores under shifted labels are therefore moved away from
their mean (`WIDER`), which makes the test conservative.

Only predictions that have not seen the segment (`runs` held out) can be tested so. With
participants held out, predictions know the labels of the very moments they are made for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bidsface.statistics import permutation_p
from bidsface_emotion_cnn.curves import macro
from bidsface_emotion_cnn.film_moments import EXACT, FilmUnits
from bidsface_emotion_cnn.resampling import Floats, Indices

WIDER = np.sqrt(2.0)
"""How much farther from its mean a score may be than shifts of labels tell.

Shifts leave the predictions as they are. But the labels of one segment have trained what predicts
the others, and the other way round: what two segments have in common by chance helps both, so that
scores of folds go together, which shifts of every segment by its own amount take apart. Where what
a score gains is a sum over pairs of segments, alike in both directions, the variance of the sum
over folds is just twice the one under shifts, however many folds there are.
"""


@dataclass(frozen=True, eq=False)
class CircularShiftTest:
    """Scores of all held-out volumes compared with those under shifted labels, one-tailed.

    Attributes
    ----------
    balanced_accuracy : float
        Mean over classes of the share that was recognized.
    null : ndarray of shape (n_shifts,)
        The same under shifted labels; p-values compare with what is moved away from its mean.
    p : float
    recall_p, auc_p : ndarray of shape (n_classes,)
        Of the share recognized, and of the area under the curve, per class; NaN for classes that
        are not tested.
    macro_auc_p : float
        Of the mean of the areas.
    smallest_p : float
        Smallest p-value that the test can reach.
    """

    balanced_accuracy: float
    null: Floats
    p: float
    recall_p: Floats
    auc_p: Floats
    macro_auc_p: float
    smallest_p: float


def circular_shift_test(
    probabilities: Floats,
    codes: NDArray[Any],
    runs: NDArray[Any],
    times: NDArray[Any],
    *,
    n_shifts: int,
    seed: np.random.SeedSequence,
    folds: NDArray[Any] | None = None,
    unit: str = "blocks",
    step: float = EXACT,
    wider: float = WIDER,
) -> CircularShiftTest:
    """Compare held-out predictions with labels that are shifted within film segments.

    Parameters
    ----------
    probabilities : ndarray of shape (n, n_classes)
        Of volumes of all participants, from folds that hold out runs.
    codes, runs : ndarray of int, shape (n,)
    times : ndarray of shape (n,)
        Within the run (s).
    n_shifts : int
        Draws; all shifts are tried where they are not more.
    seed : SeedSequence
    folds : ndarray of int, shape (n,), optional
        Areas under the curves compare volumes of one fold; of all of them without.
    unit : {'blocks', 'volumes'}
        What is shifted; `volumes` rejects too often, and is here to show it.
    step : float
        Length of a moment of the film (s), as for `film_moments.FilmUnits`.
    wider : float
        Factor by which scores under shifts are moved away from their mean; 1 for predictions of a
        classifier that knows none of the labels.

    Raises
    ------
    ValueError
        If participants have different labels at the same moment of the film.
    """
    film = FilmUnits.of(codes, runs, times, step, unit)
    if (film.units < 0).any():
        raise ValueError(
            "participants have different labels at the same moment of the film: a circular "
            "shift is for labels that belong to the film"
        )
    parts = np.zeros(len(codes), dtype=np.int64)
    if folds is not None:
        parts = np.unique(folds, return_inverse=True)[1].ravel()
    sizes = np.bincount(parts)
    sums = _unit_sums(probabilities, parts, film)
    segments = list(_segment_tables(film, sums, probabilities.shape[1]))
    shifts = _draw_shifts([len(table) for table, _ in segments], n_shifts, seed)
    totals = np.sum([table[drawn] for (table, _), drawn in zip(segments, shifts.T, strict=True)], 0)
    return _compare(totals, float(np.prod([float(n) for _, n in segments])), sizes, wider)


def _unit_sums(probabilities: Floats, folds: Indices, film: FilmUnits) -> Floats:
    """Return sums of `_volume_statistics`, (n_folds, n_units, 1 + 2 n_classes)."""
    n_folds, n_units = int(folds.max()) + 1, len(film.labels)
    columns = [
        np.bincount(folds * n_units + film.units, weights=one, minlength=n_folds * n_units)
        for one in _volume_statistics(probabilities, folds).T
    ]
    return np.stack(columns, axis=1).astype(np.float64).reshape(n_folds, n_units, -1)


def _volume_statistics(probabilities: Floats, folds: NDArray[Any]) -> Floats:
    """Return what scores are sums of: 1, whether each class is predicted, ranks within folds.

    Which sums belong to which class depends on the labels; what is summed does not.
    """
    n_classes = probabilities.shape[1]
    predicted = np.argmax(probabilities, axis=1)[:, None] == np.arange(n_classes)
    ranks = np.empty(probabilities.shape)
    for fold in np.unique(folds):
        own = folds == fold
        ranks[own] = stats.rankdata(probabilities[own], axis=0)
    return np.hstack([np.ones((len(folds), 1)), predicted, ranks]).astype(np.float64)


def _segment_tables(film: FilmUnits, sums: Floats, n_classes: int) -> Iterator[tuple[Floats, int]]:
    """Yield, for every run, its sums per class under every shift, and how many shifts differ.

    ``sums`` has shape (n_folds, n_units, 1 + 2 n_classes). What comes out has shape (n_shifts,
    n_folds, n_classes, 3): volumes of the class, those of them that are recognized, and their
    ranks. The first shift is none.
    """
    for run in np.unique(film.runs):
        own = film.runs == run
        labels, parts = film.labels[own], sums[:, own]
        steps = np.arange(len(labels))
        shifted = labels[(steps - steps[:, None]) % len(labels)]
        table = np.empty((len(labels), len(sums), n_classes, 3))
        for code in range(n_classes):
            columns = parts[:, :, [0, 1 + code, 1 + n_classes + code]]
            table[:, :, code] = np.swapaxes((shifted == code).astype(np.float64) @ columns, 0, 1)
        yield table, len(np.unique(shifted, axis=0))


def _draw_shifts(lengths: list[int], n_shifts: int, seed: np.random.SeedSequence) -> Indices:
    """Return shifts (1 + n, n_runs), of which the first is none."""
    possible = float(np.prod([float(length) for length in lengths]))
    if possible - 1 <= n_shifts:
        every = np.unravel_index(np.arange(int(possible)), lengths)
        return np.stack(every, axis=1).astype(np.int64)
    rng = np.random.default_rng(seed)
    drawn = rng.integers(lengths, size=(n_shifts, len(lengths)))
    return np.vstack([np.zeros((1, len(lengths)), dtype=np.int64), drawn])


def _ratio(part: Floats, whole: Floats) -> Floats:
    """Return ratios of sums over folds, (n_labellings, n_classes); NaN where there is nothing."""
    part, whole = part.sum(axis=1), whole.sum(axis=1)
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


def _compare(
    totals: Floats, n_distinct: float, sizes: NDArray[Any], wider: float
) -> CircularShiftTest:
    """Compare scores of the first row of sums with the others.

    Parameters
    ----------
    totals : ndarray of shape (n_labellings, n_folds, n_classes, 3)
    n_distinct : float
        Labellings that differ.
    sizes : ndarray of shape (n_folds,)
        Volumes of every fold.
    wider : float
    """
    counts, hits, ranks = np.moveaxis(totals, -1, 0)
    recalls = _ratio(hits, counts)
    wins = ranks - counts * (counts + 1) / 2
    areas = _ratio(wins, counts * (sizes[:, None] - counts))
    balanced, mean_area = macro(recalls), macro(areas)
    return CircularShiftTest(
        balanced_accuracy=float(balanced[0]),
        null=balanced[1:],
        p=float(permutation_p(balanced[0], _moved(balanced[1:], wider))[0]),
        recall_p=permutation_p(recalls[0], _moved(recalls[1:], wider)),
        auc_p=permutation_p(areas[0], _moved(areas[1:], wider)),
        macro_auc_p=float(permutation_p(mean_area[0], _moved(mean_area[1:], wider))[0]),
        smallest_p=max(1 / n_distinct, 1 / len(totals)),
    )


def _moved(null: Floats, wider: float) -> Floats:
    """Return scores under shifts, (n_shifts, ...), so many times as far from their mean."""
    if not len(null):
        return null
    mean = null.mean(axis=0)
    return np.asarray(mean + wider * (null - mean))
