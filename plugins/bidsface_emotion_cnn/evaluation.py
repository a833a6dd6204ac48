"""Everything that is said about the held-out predictions of one classifier under one split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bidsface.numerics.seeds import child_seed
from bidsface.statistics import fdr
from bidsface_emotion_cnn.above_chance import AboveChance, compare_with_chance
from bidsface_emotion_cnn.calibration import Calibration
from bidsface_emotion_cnn.circular_shift import CircularShiftTest, circular_shift_test
from bidsface_emotion_cnn.confusions import Scores, confusions
from bidsface_emotion_cnn.curves import AucIntervals, bootstrap_auc, one_vs_rest_auc
from bidsface_emotion_cnn.film_moments import EXACT, in_a_film
from bidsface_emotion_cnn.held_out import HeldOut
from bidsface_emotion_cnn.resampling import (
    Floats,
    Indices,
    participant_weights,
    percentile_interval,
)


@dataclass(frozen=True)
class EvaluationSettings:
    """How often things are drawn, and what labels belong to.

    Attributes
    ----------
    n_resamples : int
        Resamples of participants for confidence intervals.
    n_shifts : int
        Circular shifts of labels, and flips of signs.
    n_bins : int
        Of reliability diagrams.
    level : float
        Of confidence intervals.
    film : bool or None
        Whether labels belong to a film that all participants have seen; None to find out from the
        labels.
    step : float
        Length of the moments (s) in which participants' volumes are compared: the repetition time.
    """

    n_resamples: int = 2000
    n_shifts: int = 9999
    n_bins: int = 15
    level: float = 0.95
    film: bool | None = None
    step: float = EXACT


@dataclass(frozen=True, eq=False)
class Interval:
    """Ends of confidence intervals over resampled participants.

    Attributes
    ----------
    low, high : ndarray
        NaN with one participant.
    """

    low: Floats
    high: Floats


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Scores of held-out predictions, their intervals, tests and calibration.

    Attributes
    ----------
    held_out : HeldOut
        The predictions.
    participant_codes : ndarray of int64, shape (n_participants,)
        Those that were tested, ascending.
    confusion : ndarray of int64, shape (n_classes, n_classes)
        Numbers of volumes by true (rows) and predicted class.
    pooled : Scores
        Of all held-out volumes together.
    folds : Scores
        Of every fold.
    people : Scores
        Of every participant.
    accuracy, balanced_accuracy, recalls : Interval
        Of the scores in ``pooled``.
    auc : AucIntervals
        One class against all others, of all pairs of volumes that the same fold tested.
    fold_auc : ndarray of shape (n_folds, n_classes)
        NaN where a fold does not test a class.
    above_chance : AboveChance
        Test of the participants' balanced accuracies.
    shift : CircularShiftTest or None
        None where a fold was trained on film segments that it tests, whose labels it then knows,
        and where participants have labels of their own.
    calibration : Calibration
    """

    held_out: HeldOut
    participant_codes: Indices
    confusion: NDArray[np.int64]
    pooled: Scores
    folds: Scores
    people: Scores
    accuracy: Interval
    balanced_accuracy: Interval
    recalls: Interval
    auc: AucIntervals
    fold_auc: Floats
    above_chance: AboveChance
    shift: CircularShiftTest | None
    calibration: Calibration

    @classmethod
    def of(
        cls,
        held_out: HeldOut,
        seed: np.random.SeedSequence,
        settings: EvaluationSettings | None = None,
    ) -> Evaluation:
        """Evaluate held-out predictions.

        Parameters
        ----------
        held_out : HeldOut
        seed : SeedSequence
            Of resamples, flips and shifts. Evaluations with the same seed and the same number of
            participants resample alike.
        settings : EvaluationSettings, optional
        """
        settings = settings or EvaluationSettings()
        names, owners = np.unique(held_out.participants, return_inverse=True)
        by_person = _count(held_out, owners, len(names))
        people = Scores.of(by_person)
        resampled = Scores.of(
            np.tensordot(_weights(len(names), settings, seed), by_person, axes=(1, 0))
        )
        accuracy, balanced_accuracy, recalls = (
            Interval(*percentile_interval(draws, len(names), settings.level))
            for draws in (resampled.accuracy, resampled.balanced_accuracy, resampled.recalls)
        )
        return cls(
            held_out=held_out,
            participant_codes=names,
            confusion=by_person.sum(axis=0),
            pooled=Scores.of(by_person.sum(axis=0)),
            folds=Scores.of(_count(held_out, held_out.folds, len(held_out.fold_names))),
            people=people,
            accuracy=accuracy,
            balanced_accuracy=balanced_accuracy,
            recalls=recalls,
            auc=bootstrap_auc(
                held_out.probabilities,
                held_out.codes,
                held_out.participants,
                held_out.folds,
                n_resamples=settings.n_resamples,
                seed=child_seed(seed, 0),
                level=settings.level,
            ),
            fold_auc=_fold_auc(held_out),
            above_chance=compare_with_chance(
                people.balanced_accuracy,
                people.chance,
                n_flips=settings.n_shifts,
                seed=child_seed(seed, 1),
                level=settings.level,
            ),
            shift=_shift(held_out, settings, child_seed(seed, 2)),
            calibration=Calibration.of(held_out.probabilities, held_out.codes, settings.n_bins),
        )

    @property
    def p(self) -> float:
        """p-value of the balanced accuracy; NaN where the split lets nothing be tested.

        With segments of a film held out that of the circular shifts, else that of the signed ranks
        of participants, but for the random split.
        """
        if self.shift is not None:
            return self.shift.p
        if self.held_out.scheme == "random":
            return float("nan")
        return self.above_chance.p_signed_rank

    @property
    def recall_p_fdr(self) -> Floats:
        """p-values of the classes' recalls, adjusted over classes; NaN without shifts."""
        return self._adjusted("recall_p")

    @property
    def auc_p_fdr(self) -> Floats:
        """p-values of the classes' areas, adjusted over classes; NaN without shifts."""
        return self._adjusted("auc_p")

    def _adjusted(self, name: str) -> Floats:
        if self.shift is None:
            return np.full(self.held_out.n_classes, np.nan)
        return fdr(getattr(self.shift, name))


def _count(held_out: HeldOut, groups: NDArray[np.integer], n_groups: int) -> NDArray[np.int64]:
    return confusions(held_out.codes, held_out.predicted, groups, n_groups, held_out.n_classes)


def _weights(n: int, settings: EvaluationSettings, seed: np.random.SeedSequence) -> Indices:
    """Return the resamples that the areas under the curves use too."""
    return participant_weights(n, settings.n_resamples, child_seed(seed, 0))


def _fold_auc(held_out: HeldOut) -> Floats:
    parts = [held_out.folds == fold for fold in range(len(held_out.fold_names))]
    return np.stack(
        [one_vs_rest_auc(held_out.probabilities[part], held_out.codes[part]) for part in parts]
    )


def _shift(
    held_out: HeldOut, settings: EvaluationSettings, seed: np.random.SeedSequence
) -> CircularShiftTest | None:
    labels = held_out.codes, held_out.runs, held_out.times
    known = in_a_film(*labels, settings.step)
    film = bool(known.all()) if settings.film is None else settings.film
    if not held_out.separate_runs or not film:
        return None
    # Where repetition times differ a little, so do grids of one film, and some labels at edges.
    return circular_shift_test(
        held_out.probabilities[known],
        *(part[known] for part in labels),
        n_shifts=settings.n_shifts,
        seed=seed,
        folds=held_out.folds[known],
        step=settings.step,
    )
