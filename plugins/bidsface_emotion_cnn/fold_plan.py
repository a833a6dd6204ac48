"""Which folds there are to train: made from the tables alone, before any image is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from bidsface.errors import InputError
from bidsface_emotion_cnn.options import EmotionOptions, Scheme
from bidsface_emotion_cnn.overlap import NEAR
from bidsface_emotion_cnn.resampling import Indices
from bidsface_emotion_cnn.segment_borders import far_from, film_times
from bidsface_emotion_cnn.splits import Fold, make_folds
from bidsface_emotion_cnn.training_sizes import equal_training


@dataclass(frozen=True, eq=False)
class FoldPlan:
    """The folds of all schemes that the runs and participants allow.

    Attributes
    ----------
    folds : mapping of str to sequence of Fold
        By scheme, in the order of the options.
    audited : mapping of str to sequence of Fold
        What the leakage audit compares: the same, but for schemes with more to train on than a more
        honest one, whose training parts were thinned (`training_sizes`).
    notes : tuple of str
        Schemes that were left out, and why.
    """

    folds: Mapping[Scheme, Sequence[Fold]]
    audited: Mapping[Scheme, Sequence[Fold]]
    notes: tuple[str, ...]

    @property
    def trained_again(self) -> dict[Scheme, Sequence[Fold]]:
        """Folds of the audit alone, by scheme."""
        return {
            scheme: folds
            for scheme, folds in self.audited.items()
            if folds is not self.folds[scheme]
        }


@dataclass(frozen=True, eq=False)
class _Column:
    """Names in alphabetical order, and the place of every row's among them."""

    names: tuple[str, ...]
    codes: Indices

    @classmethod
    def of(cls, table: pd.DataFrame, name: str) -> _Column:
        names, codes = np.unique(table[name].to_numpy(str), return_inverse=True)
        return cls(tuple(map(str, names)), codes.astype(np.int64))


def plan_folds(
    table: pd.DataFrame, options: EmotionOptions, seed: Callable[..., np.random.SeedSequence]
) -> FoldPlan:
    """Make the folds of all schemes that are possible.

    Parameters
    ----------
    table : DataFrame
        A row per volume, as `gathering.volume_table` returns it.
    options : EmotionOptions
    seed : callable
        Returns a SeedSequence of names.

    Raises
    ------
    InputError
        If no scheme is possible; it says why not.
    """
    folds: dict[Scheme, Sequence[Fold]] = {}
    impossible: dict[Scheme, str] = {}
    for scheme in options.schemes:
        try:
            folds[scheme] = scheme_folds(table, scheme, options, seed("folds", scheme))
        except ValueError as error:
            impossible[scheme] = str(error)
    reasons = [f"{scheme} ({text})" for scheme, text in impossible.items()]
    if not folds:
        raise InputError(f"schemes: nothing can be held out, not by {', nor by '.join(reasons)}")
    notes = [f"schemes: nothing was held out by {reason}" for reason in reasons]
    if notes and set(folds) == {"random"}:
        notes.append(
            "only volumes at random could be held out: these scores say nothing of whether "
            "emotions are recognized"
        )
    codes = _Column.of(table, "trial_type").codes
    audited = equal_training(folds, codes, seed("audit", "training")) if len(folds) > 1 else folds
    return FoldPlan(folds, audited, tuple(notes))


def scheme_folds(
    table: pd.DataFrame, scheme: Scheme, options: EmotionOptions, seed: np.random.SeedSequence
) -> list[Fold]:
    """Return the folds of a scheme; raises ValueError where it is impossible.

    Where film segments are held out, what borders on them in the film is left out of training and
    validation (`segment_borders`).
    """
    classes, people, runs = (
        _Column.of(table, name) for name in ("trial_type", "participant_id", "segment")
    )
    times = film_times(table, options.labels)
    usable = None
    if scheme == "runs" and times is not None:
        usable = partial(far_from, times=times, seconds=NEAR)
    return make_folds(
        scheme,
        classes.codes,
        people.codes,
        runs.codes,
        n_folds=options.folds[scheme],
        test_share=options.test_share,
        seed=seed,
        unit_names=people.names if scheme == "participants" else runs.names,
        class_names=classes.names,
        usable=usable,
    )
