"""The images of one participant: one per event, with its target, covariates and head motion."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bidsface.analysis import Entities, Samples
from bidsface.errors import InputError
from bidsface.numerics.linear import Floats

MISSING = ("n/a", "")
FACTS = ("task_name", "trial_type", "event", "block", "session_name", "run_index", "onset")
"""Columns of ``TrialImages.table`` that tell the images apart."""


@dataclass(frozen=True, eq=False)
class TrialImages:
    """Images of events.

    Attributes
    ----------
    X : ndarray of shape (n_images, n_voxels), float32
    table : DataFrame of n_images rows
        The columns of ``FACTS``.
    target : ndarray of shape (n_images,)
    covariates : ndarray of shape (n_images, n_covariates)
    motion : ndarray of shape (n_images, n_parameters)
        Head-motion parameters, filtered as the images were.
    entities : mapping
        BIDS entities that all images have in common, without ``sub``.
    """

    X: NDArray[np.float32]
    table: pd.DataFrame
    target: Floats
    covariates: Floats
    motion: Floats
    entities: Entities

    def take(self, rows: NDArray[Any]) -> TrialImages:
        """Return some of the images."""
        return replace(
            self,
            X=self.X[rows],
            table=self.table[rows].reset_index(drop=True),
            target=self.target[rows],
            covariates=self.covariates[rows],
            motion=self.motion[rows],
        )


def event_images(samples: Samples, task: str, target: Floats, covariates: Floats) -> TrialImages:
    """Return one image per event: the mean of its samples where it has several.

    Parameters
    ----------
    samples : Samples
    task : str
    target : ndarray of shape (n_samples,)
    covariates : ndarray of shape (n_samples, n_covariates)
    """
    events, first, place = np.unique(
        samples.table["event"].to_numpy(), return_index=True, return_inverse=True
    )
    table = (
        samples.table.rename(columns={"session": "session_name"})
        .iloc[first]
        .assign(task_name=task)[list(FACTS)]
        .reset_index(drop=True)
    )
    n = len(events)
    if n == len(samples.table):
        return TrialImages(
            samples.X[first],
            table,
            target[first],
            covariates[first],
            samples.motion[first],
            samples.entities,
        )
    counts = np.bincount(place, minlength=n)[:, None]
    X = np.zeros((n, samples.X.shape[1]), np.float32)
    np.add.at(X, place, samples.X)
    motion = np.zeros((n, samples.motion.shape[1]))
    np.add.at(motion, place, samples.motion)
    return TrialImages(
        (X / counts).astype(np.float32),
        table,
        target[first],
        covariates[first],
        motion / counts,
        samples.entities,
    )


def joined(parts: Sequence[TrialImages]) -> TrialImages:
    """Return the images of several tasks; motion is kept where all have the same parameters."""
    first = parts[0].entities
    shared = {
        key: value
        for key, value in first.items()
        if all(part.entities.get(key) == value for part in parts)
    }
    widths = {part.motion.shape[1] for part in parts}
    motion = [part.motion if len(widths) == 1 else part.motion[:, :0] for part in parts]
    return TrialImages(
        np.vstack([part.X for part in parts]),
        pd.concat([part.table for part in parts], ignore_index=True),
        np.concatenate([part.target for part in parts]),
        np.vstack([part.covariates for part in parts]),
        np.vstack(motion),
        shared,
    )


def numbers(events: pd.DataFrame, column: str, who: str, what: str = "events.tsv") -> Floats:
    """Return a column of a table as numbers; missing values are NaN.

    Parameters
    ----------
    events : DataFrame of str
        Events of the samples, as in ``Samples.events``.
    column : str
    who, what : str
        Whose table it is, and which, for messages.

    Raises
    ------
    InputError
        If there is no such column, or it holds something else than numbers.
    """
    if column not in events.columns:
        raise InputError(
            f"{who}: {what} has no column {column!r}; it has {', '.join(events.columns)}"
        )
    text = events[column].astype(str).str.strip()
    values = pd.to_numeric(text.where(~text.isin(MISSING)), errors="coerce").to_numpy(float)
    wrong = ~np.isfinite(values) & ~text.isin(MISSING).to_numpy()
    if wrong.any():
        raise InputError(
            f"{who}: column {column!r} of {what} has to hold numbers or n/a, found "
            f"{text[wrong].iloc[0]!r}"
        )
    return values


def without_missing(
    images: TrialImages, names: Mapping[str, Callable[[TrialImages], Floats]]
) -> tuple[TrialImages, list[str]]:
    """Return the images that lack nothing, and what to say of the others.

    Parameters
    ----------
    images : TrialImages
    names : mapping of str to callable
        What has to be there, and how to get it of the images.
    """
    notes = []
    kept = np.ones(len(images.table), bool)
    for name, of in names.items():
        missing = kept & np.isnan(of(images))
        kept &= ~missing
        if missing.any():
            notes.append(
                f"{int(missing.sum())} of {len(kept)} events have no {name} and were left out"
            )
    return images.take(kept), notes
