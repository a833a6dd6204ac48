"""Preparing runs of images that exist already: which of them are samples, and of which trial."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bidsface.cleaning import RunFilter
from bidsface.confounds import Confounds
from bidsface.errors import RecipeError
from bidsface.files import Run
from bidsface.participant.pairing import pair_images
from bidsface.participant.preparation import ExcludedRun, PreparedRun, no_class, too_few_trials
from bidsface.recipe import Recipe
from bidsface.samples import existing
from bidsface.volumes import count_images


class ImageFilter(RunFilter):
    """The filter of images that exist already: it removes nothing."""

    def clean_voxels(
        self, values: NDArray[np.float32], *, standardize: bool
    ) -> NDArray[np.float32]:
        """Return the images of trials, standardized over them where the recipe says so.

        Parameters
        ----------
        values : ndarray of shape (n_images, n_voxels), float32

        Returns
        -------
        cleaned : ndarray of shape (n_kept, n_voxels), float32
        """
        if standardize:
            return super().clean_voxels(values, standardize=True)
        # Unlike a time series, images that are all alike (or only one) keep their values.
        return values[self.kept]


def prepare_images(run: Run, recipe: Recipe) -> PreparedRun | ExcludedRun:
    """Find the trials of a run's images, or exclude the run.

    Raises
    ------
    RecipeError
        If the recipe does not take images.
    InputError
        If images and events do not fit, or an image lies on another grid than the others.
    """
    images, cleaning = recipe.inputs.images, recipe.cleaning
    if images is None:
        raise RecipeError(f"{run.bold}: an image is not used without inputs.images")
    if images.events and run.events is None:
        return ExcludedRun(run, "no events file")
    found = pair_images(run, count_images(run), images, recipe.classes)
    if found.events.trials.empty:
        return ExcludedRun(run, no_class(found.events, recipe))
    kept = found.trial >= 0
    if cleaning.standardize and np.count_nonzero(kept) < 2:
        return ExcludedRun(run, "fewer than two images of a class, which cannot be standardized")
    onsets = found.events.trials["onset"].to_numpy(float)
    selection = existing(found.trial[kept], onsets)
    prepared = PreparedRun(
        run=run,
        events=found.events,
        confounds=_no_confounds(len(kept)),
        filter=_no_filter(np.where(kept, onsets[found.trial], np.nan), kept),
        selections=dict.fromkeys(recipe.samples, selection),
        n_dropped=0,
        n_censored=0,
    )
    reason = too_few_trials(prepared, cleaning)
    return prepared if reason is None else ExcludedRun(run, reason)


def _no_confounds(n_images: int) -> Confounds:
    """Return what is known of head motion: nothing."""
    return Confounds(
        selected=pd.DataFrame(index=range(n_images)),
        steady=np.ones(n_images, bool),
        scrubbed=np.zeros(n_images, bool),
        framewise_displacement=None,
        motion=np.empty((n_images, 0)),
    )


def _no_filter(times: NDArray[np.float64], kept: NDArray[np.bool_]) -> ImageFilter:
    nothing = np.empty((len(kept), 0))
    return ImageFilter(times=times, kept=kept, drifts=nothing, confounds=nothing, detrend=False)
