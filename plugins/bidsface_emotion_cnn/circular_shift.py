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

The test is approximate: blocks differ in length, and the labels of other segments have trained what
predicts this one. p-values of single classes are somewhat too small in their tails.

Only predictions that have not seen the segment (`runs` held out) can be tested so. With
participants held out, predictions know the labels of the very moments they are made for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bidsface.statistics import permutation_p
from bidsface_emotion_cnn.curves import auc_from_ranks, macro
from bidsface_emotion_cnn.resampling import Floats, Indices

DECIMALS = 3
"""Times that agree to a millisecond are one moment of the film."""


@dataclass(frozen=True, eq=False)
class CircularShiftTest:
    """Scores of all held-out volumes compared with those under shifted labels, one-tailed.

    Attributes
    ----------
    balanced_accuracy : float
        Mean over classes of the share that was recognized.
    null : ndarray of shape (n_shifts,)
        The same under shifted labels.
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
    unit: str = "blocks",
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
    unit : {'blocks', 'volumes'}
        What is shifted; `volumes` rejects too often, and is here to show it.

    Raises
    ------
    ValueError
        If participants have different labels at the same moment of the film.
    """
    film = _Film.of(codes, runs, times, unit)
    per_volume = _volume_statistics(probabilities, codes)
    columns = [np.bincount(film.units, weights=one) for one in per_volume.T]
    sums = np.stack(columns, axis=1).astype(np.float64)
    segments = list(_segment_tables(film, sums, probabilities.shape[1]))
    shifts = _draw_shifts([len(table) for table, _ in segments], n_shifts, seed)
    totals = np.sum([table[drawn] for (table, _), drawn in zip(segments, shifts.T, strict=True)], 0)
    return _compare(totals, float(np.prod([float(n) for _, n in segments])), len(codes))


@dataclass(frozen=True, eq=False)
class _Film:
    """Units of the film that have one label: blocks of moments, or moments.

    ``units`` (n_volumes,) is the unit of every volume; ``labels`` and ``runs`` (n_units,) are those
    of the units, in the order of the film.
    """

    units: Indices
    labels: Indices
    runs: Indices

    @classmethod
    def of(cls, codes: NDArray[Any], runs: NDArray[Any], times: NDArray[Any], unit: str) -> _Film:
        segments, labels, places = _moments(codes, runs, times)
        if (labels[places] != codes).any():
            raise ValueError(
                "participants have different labels at the same moment of the film: a circular "
                "shift is for labels that belong to the film"
            )
        first = _BEGINNINGS[unit](labels, segments)
        return cls((np.cumsum(first) - 1)[places], labels[first], segments[first])


def _moments(
    codes: NDArray[Any], runs: NDArray[Any], times: NDArray[Any]
) -> tuple[Indices, Indices, Indices]:
    """Return runs and labels of the moments of the film, and every volume's moment."""
    keys = np.stack([runs, np.round(times, DECIMALS)], axis=1)
    moments, places = np.unique(keys, axis=0, return_inverse=True)
    places = places.ravel()
    labels = np.zeros(len(moments), dtype=np.int64)
    labels[places] = codes
    return moments[:, 0].astype(np.int64), labels, places.astype(np.int64)


def belong_to_a_film(codes: NDArray[Any], runs: NDArray[Any], times: NDArray[Any]) -> bool:
    """Tell whether all volumes of one moment have one label, in whomever."""
    _, labels, places = _moments(codes, runs, times)
    return bool((labels[places] == codes).all())


def _block_beginnings(labels: Indices, segments: Indices) -> NDArray[np.bool_]:
    changes = (np.diff(labels) != 0) | (np.diff(segments) != 0)
    return np.concatenate([[True], changes])


_BEGINNINGS: Mapping[str, Callable[[Indices, Indices], NDArray[np.bool_]]] = {
    "blocks": _block_beginnings,
    "volumes": lambda labels, segments: np.ones(len(labels), dtype=bool),
}


def _volume_statistics(probabilities: Floats, codes: NDArray[Any]) -> Floats:
    """Return what scores are sums of: 1, whether each class is predicted, ranks of each class.

    Which sums belong to which class depends on the labels; what is summed does not.
    """
    n_classes = probabilities.shape[1]
    predicted = np.argmax(probabilities, axis=1)[:, None] == np.arange(n_classes)
    return np.hstack(
        [np.ones((len(codes), 1)), predicted, stats.rankdata(probabilities, axis=0)]
    ).astype(np.float64)


def _segment_tables(film: _Film, sums: Floats, n_classes: int) -> Iterator[tuple[Floats, int]]:
    """Yield, for every run, its sums per class under every shift, and how many shifts differ.

    Sums have shape (n_shifts, n_classes, 3): volumes of the class, those of them that are
    recognized, and their ranks. The first shift is none.
    """
    for run in np.unique(film.runs):
        own = film.runs == run
        labels, parts = film.labels[own], sums[own]
        steps = np.arange(len(labels))
        shifted = labels[(steps - steps[:, None]) % len(labels)]
        table = np.empty((len(labels), n_classes, 3))
        for code in range(n_classes):
            columns = parts[:, [0, 1 + code, 1 + n_classes + code]]
            table[:, code] = (shifted == code).astype(np.float64) @ columns
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


def _compare(totals: Floats, n_distinct: float, n: int) -> CircularShiftTest:
    """Compare scores of the first row of sums (n_labellings, n_classes, 3) with the others."""
    counts, hits, ranks = np.moveaxis(totals, -1, 0)
    recalls = np.divide(hits, counts, out=np.full(hits.shape, np.nan), where=counts > 0)
    areas = auc_from_ranks(ranks, counts, n)
    balanced, mean_area = macro(recalls), macro(areas)
    return CircularShiftTest(
        balanced_accuracy=float(balanced[0]),
        null=balanced[1:],
        p=float(permutation_p(balanced[0], balanced[1:])[0]),
        recall_p=permutation_p(recalls[0], recalls[1:]),
        auc_p=permutation_p(areas[0], areas[1:]),
        macro_auc_p=float(permutation_p(mean_area[0], mean_area[1:])[0]),
        smallest_p=max(1 / n_distinct, 1 / len(totals)),
    )
