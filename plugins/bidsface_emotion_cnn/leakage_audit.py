"""How much of a score comes from the split: the same classifier under all of them.

The published 80/20 split is random over volumes. Volumes of one participant resemble their
neighbours, and volumes of one second of the film resemble each other in all participants; with both
in the training part a classifier does well that has learned moments, not emotions. What the score
loses when film segments or participants are held out is the part that was leakage (Kapoor and
Narayanan 2023, Patterns 4:100804), unless there was more to train on, or classes were shared out
differently: a segment with many volumes of a class leaves few of them to train on, so that the
class is recognized worst where most of it is tested. Scores are therefore means over folds, not of
all predictions together (Parker et al. 2007, BMC Bioinformatics 8:326).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bidsface_emotion_cnn.confusions import Scores, confusions
from bidsface_emotion_cnn.curves import PairWins, macro
from bidsface_emotion_cnn.evaluation import Evaluation
from bidsface_emotion_cnn.resampling import (
    Floats,
    Indices,
    participant_weights,
    percentile_interval,
)
from bidsface_emotion_cnn.training_sizes import ALIKE

NAMES: Mapping[str, str] = {
    "random": "volumes drawn at random",
    "runs": "film segments held out",
    "participants": "participants held out",
}
"""Splits in words."""

PAIRS = (("random", "runs"), ("random", "participants"), ("participants", "runs"))
"""What is compared: first, what may have leaked, then what is more honest."""

METRICS: Mapping[str, str] = {
    "balanced_accuracy": "balanced accuracy",
    "auc": "area under the curve",
}


@dataclass(frozen=True)
class Difference:
    """A score under one split less that under another one.

    Attributes
    ----------
    metric : str
        A key of `METRICS`.
    first, second : str
        Splits.
    first_score, second_score : float
    first_train, second_train : float
        Training volumes of a fold, mean over folds.
    difference, low, high : float
        With its confidence interval over participants.
    excessive : bool
        Whether the interval is above 0 and the difference above the threshold.
    """

    metric: str
    first: str
    second: str
    first_score: float
    second_score: float
    first_train: float
    second_train: float
    difference: float
    low: float
    high: float
    excessive: bool


@dataclass(frozen=True, eq=False)
class LeakageAudit:
    """One classifier under several splits.

    Attributes
    ----------
    schemes : tuple of str
        Splits, as given.
    participant_codes : ndarray of int64, shape (n_participants,)
        Participants that all of them have tested.
    scores : ndarray of shape (n_schemes, n_participants)
        Balanced accuracy of every participant; the share recognized of a class is the mean over
        folds.
    low, high : ndarray of shape (n_schemes,)
        Confidence intervals of the means over participants.
    chance : float
        Of the balanced accuracy.
    differences : tuple of Difference
    threshold : float
    level : float
        Of the intervals.
    """

    schemes: tuple[str, ...]
    participant_codes: Indices
    scores: Floats
    low: Floats
    high: Floats
    chance: float
    differences: tuple[Difference, ...]
    threshold: float
    level: float

    @classmethod
    def of(
        cls,
        evaluations: Mapping[str, Evaluation],
        seed: np.random.SeedSequence,
        *,
        n_resamples: int = 2000,
        threshold: float = 0.05,
        level: float = 0.95,
    ) -> LeakageAudit:
        """Compare splits by the same participants, resampled together.

        Parameters
        ----------
        evaluations : mapping of str to Evaluation
            By split; at least two of `splits.SCHEMES`, with training parts as
            `training_sizes.equal_training` makes them.
        seed : SeedSequence
        n_resamples : int
        threshold : float
            Differences up to this are not worth a warning.
        level : float

        Raises
        ------
        ValueError
            With fewer than two splits, if no participant is tested by all of them, or if a split
            had more to train on than one that it is compared with, which would pass for leakage.
        """
        if len(evaluations) < 2:
            raise ValueError(
                f"an audit compares at least two splits, found {', '.join(evaluations) or 'none'}"
            )
        common = _common(list(evaluations.values()))
        if not len(common):
            raise ValueError("no participant is tested under all splits")
        sizes = {name: one.held_out.n_train for name, one in evaluations.items()}
        pairs = [pair for pair in PAIRS if set(pair) <= set(evaluations)]
        for pair in pairs:
            _refuse_more_training(pair, sizes)
        weights = participant_weights(len(common), n_resamples, seed)
        people = {name: _of_people(one, common) for name, one in evaluations.items()}
        # Row 0 is the sample itself, every participant once.
        weights = np.vstack([np.ones((1, len(common)), dtype=np.int64), weights])
        draws = {
            (metric, name): find(one, common, weights)
            for metric, find in _STATISTICS.items()
            for name, one in evaluations.items()
        }
        means = np.stack([draws["balanced_accuracy", name] for name in evaluations], axis=1)
        low, high = percentile_interval(means[1:], len(common), level)
        return cls(
            schemes=tuple(evaluations),
            participant_codes=common,
            scores=np.stack(list(people.values())),
            low=low,
            high=high,
            chance=1 / next(iter(evaluations.values())).held_out.n_classes,
            differences=tuple(
                _difference(metric, pair, draws, sizes, len(common), threshold, level)
                for metric in _STATISTICS
                for pair in pairs
            ),
            threshold=threshold,
            level=level,
        )

    @property
    def leaks(self) -> tuple[Difference, ...]:
        """Differences by which the random split does better than an honest one."""
        return tuple(one for one in self.differences if one.excessive and one.first == "random")

    @property
    def film_leaks(self) -> tuple[Difference, ...]:
        """Differences by which unseen participants do better than unseen film segments."""
        return tuple(
            one for one in self.differences if one.excessive and one.first == "participants"
        )


def _refuse_more_training(pair: tuple[str, str], sizes: Mapping[str, float]) -> None:
    first, second = pair
    # Half a volume of rounding is no more training.
    if sizes[first] > ALIKE * sizes[second] + 0.5:
        raise ValueError(
            f"{NAMES[first]} left {sizes[first]:.0f} volumes to train on, {NAMES[second]} "
            f"{sizes[second]:.0f}: a difference would not be one of leakage alone"
        )


def _common(evaluations: Sequence[Evaluation]) -> Indices:
    """Return the participants that every split has tested."""
    common = evaluations[0].participant_codes
    for one in evaluations[1:]:
        common = np.intersect1d(common, one.participant_codes)
    return common


def _of_people(evaluation: Evaluation, participants: Indices) -> Floats:
    """Return the balanced accuracies of participants, each class's share a mean over folds."""
    held_out = evaluation.held_out
    kept = np.isin(held_out.participants, participants)
    owners = np.searchsorted(participants, held_out.participants[kept])
    shape = len(participants), len(held_out.fold_names), held_out.n_classes
    counts = confusions(
        held_out.codes[kept],
        held_out.predicted[kept],
        owners * shape[1] + held_out.folds[kept],
        shape[0] * shape[1],
        shape[2],
    )
    recalls = Scores.of(counts).recalls.reshape(shape)
    return macro(macro(recalls.transpose(0, 2, 1)))


def _mean_accuracy(evaluation: Evaluation, participants: Indices, weights: Indices) -> Floats:
    """Return means of the participants' balanced accuracies, of every resample."""
    return weights @ _of_people(evaluation, participants) / len(participants)


def _area(evaluation: Evaluation, participants: Indices, weights: Indices) -> Floats:
    """Return mean areas under the classes' curves, of pairs within folds, of every resample."""
    held_out = evaluation.held_out
    kept = np.isin(held_out.participants, participants)
    owners = np.searchsorted(participants, held_out.participants[kept])
    pairs = PairWins.within(
        held_out.folds[kept],
        held_out.probabilities[kept],
        held_out.codes[kept],
        owners,
        len(participants),
    )
    return macro(pairs.auc(weights))


_STATISTICS: Mapping[str, Callable[[Evaluation, Indices, Indices], Floats]] = {
    "balanced_accuracy": _mean_accuracy,
    "auc": _area,
}


def _difference(
    metric: str,
    pair: tuple[str, str],
    draws: Mapping[tuple[str, str], Floats],
    sizes: Mapping[str, float],
    n_participants: int,
    threshold: float,
    level: float,
) -> Difference:
    first, second = (draws[metric, name] for name in pair)
    away = first - second
    low, high = (float(end) for end in percentile_interval(away[1:], n_participants, level))
    return Difference(
        metric,
        *pair,
        first_score=float(first[0]),
        second_score=float(second[0]),
        first_train=sizes[pair[0]],
        second_train=sizes[pair[1]],
        difference=float(away[0]),
        low=low,
        high=high,
        excessive=bool(low > 0 and away[0] > threshold),
    )
