"""Cleaning: what is removed from the volumes of a run, and how."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bidsface.confounds import Confounds
from bidsface.files import Run
from bidsface.recipe import Cleaning

FMRIPREP_HIGH_PASS = 128.0
"""Cut-off period (s) of the ``cosine`` columns of fMRIPrep's confounds."""

BLOCK_VOXELS = 8192
"""Voxels that are cleaned together in double precision."""


@dataclass(frozen=True, eq=False)
class RunFilter:
    """The linear filter of one run.

    Attributes
    ----------
    times : ndarray of shape (n_volumes,)
        s; when each volume was acquired.
    kept : ndarray of shape (n_volumes,), bool
        Volumes that were neither dropped nor censored.
    drifts : ndarray of shape (n_volumes, n_drifts)
        Regressors of the high-pass filter: fMRIPrep's cosines, if they were chosen, and ours.
    confounds : ndarray of shape (n_volumes, n_confounds)
    detrend : bool
    """

    times: NDArray[np.float64]
    kept: NDArray[np.bool_]
    drifts: NDArray[np.float64]
    confounds: NDArray[np.float64]
    detrend: bool

    @property
    def n_regressors(self) -> int:
        """Number of regressors that are removed, a constant and the trend among them."""
        return 1 + self.detrend + self.drifts.shape[1] + self.confounds.shape[1]

    def clean(
        self, values: NDArray, *, confounds: bool = True, standardize: bool = False
    ) -> NDArray[np.float64]:
        """Filter time series with `nilearn.signal.clean`.

        Parameters
        ----------
        values : ndarray of shape (n_volumes, n_series)
        confounds : bool
            Whether the confounds are regressed out, beside trend and drifts.
        standardize : bool
            Whether each series is scaled to mean 0 and standard deviation 1.

        Returns
        -------
        cleaned : ndarray of shape (n_kept, n_series)
            A series that is constant over the kept volumes becomes 0.
        """
        from nilearn.signal import clean

        regressors = np.hstack((self.confounds, self.drifts) if confounds else (self.drifts,))
        values = np.asarray(values, dtype=np.float64)
        constant = np.ptp(values[self.kept], axis=0) == 0
        cleaned = clean(
            values,
            detrend=self.detrend,
            standardize="zscore_sample" if standardize else None,
            sample_mask=np.flatnonzero(self.kept),
            confounds=regressors if regressors.shape[1] else None,
            filter=False,
        )
        cleaned[:, constant] = 0.0  # else rounding errors would be scaled to unit variance
        return cleaned

    def clean_voxels(
        self, values: NDArray[np.float32], *, standardize: bool
    ) -> NDArray[np.float32]:
        """Clean the voxels of a whole run block by block, overwriting ``values``.

        Parameters
        ----------
        values : ndarray of shape (n_volumes, n_voxels), float32

        Returns
        -------
        cleaned : ndarray of shape (n_kept, n_voxels), float32
            A view of ``values``.
        """
        n_kept = int(np.count_nonzero(self.kept))
        for start in range(0, values.shape[1], BLOCK_VOXELS):
            part = slice(start, start + BLOCK_VOXELS)
            values[:n_kept, part] = self.clean(values[:, part], standardize=standardize)
        return values[:n_kept]


def run_filter(run: Run, confounds: Confounds, cleaning: Cleaning) -> RunFilter:
    """Return the filter that a recipe's cleaning means for a run."""
    n_volumes = len(confounds.steady)
    cosines = confounds.selected.columns.str.startswith("cosine")
    period = cleaning.high_pass
    # fMRIPrep's own cosines, where they were chosen, already remove what is slower than 128 s.
    if period is not None and period >= FMRIPREP_HIGH_PASS and cosines.any():
        period = None
    return RunFilter(
        times=run.start_time + run.repetition_time * np.arange(n_volumes, dtype=np.float64),
        kept=steady_mask(confounds, cleaning) & ~censored_mask(confounds, cleaning),
        drifts=np.hstack(
            (
                confounds.selected.loc[:, cosines].to_numpy(float),
                cosine_drifts(n_volumes, run.repetition_time, period),
            )
        ),
        confounds=confounds.selected.loc[:, ~cosines].to_numpy(float),
        detrend=cleaning.detrend,
    )


def cosine_drifts(
    n_volumes: int, repetition_time: float, period: float | None
) -> NDArray[np.float64]:
    """Return the discrete cosines (DCT-II) whose period is at least a cut-off.

    Parameters
    ----------
    repetition_time, period : float
        s; no period gives no drifts.

    Returns
    -------
    drifts : ndarray of shape (n_volumes, n_drifts)
        As many as `nilearn.signal.clean` uses. They are built here since nilearn leaves its own
        out where a confound, such as a steady head drift, resembles one of them.
    """
    if period is None:
        return np.empty((n_volumes, 0))
    order = min(n_volumes - 1, int(np.floor(2 * n_volumes * repetition_time / period)))
    phase = np.pi / n_volumes * (np.arange(n_volumes) + 0.5)
    return np.sqrt(2.0 / n_volumes) * np.cos(np.outer(phase, np.arange(1, order + 1)))


def steady_mask(confounds: Confounds, cleaning: Cleaning) -> NDArray[np.bool_]:
    """Return which volumes remain when those before the steady state are dropped."""
    remains = confounds.steady.copy()
    remains[: cleaning.drop_volumes] = False
    return remains


def censored_mask(confounds: Confounds, cleaning: Cleaning) -> NDArray[np.bool_]:
    """Return which volumes are censored for head motion (Power et al. 2012)."""
    censored = confounds.scrubbed.copy()
    if cleaning.fd_threshold is not None and confounds.framewise_displacement is not None:
        censored |= confounds.framewise_displacement > cleaning.fd_threshold
    return censored


def reason_to_exclude(confounds: Confounds, filter_: RunFilter, cleaning: Cleaning) -> str | None:
    """Return why a run cannot be used, or None."""
    steady = steady_mask(confounds, cleaning)
    n_steady, n_kept = np.count_nonzero(steady), np.count_nonzero(filter_.kept)
    displacement = confounds.framewise_displacement
    if n_steady and displacement is not None and cleaning.max_mean_fd is not None:
        mean = float(displacement[steady].mean())
        if mean > cleaning.max_mean_fd:
            return f"mean framewise displacement {mean:.2f} mm is above {cleaning.max_mean_fd:g} mm"
    if n_steady and 1 - n_kept / n_steady > cleaning.max_censored:
        return (
            f"{n_steady - n_kept} of {n_steady} volumes are censored for head motion, more than "
            f"the fraction {cleaning.max_censored:g}"
        )
    if n_kept <= filter_.n_regressors:
        return f"{n_kept} volumes are left, too few to remove {filter_.n_regressors} regressors"
    return None
