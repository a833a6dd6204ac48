"""fMRIPrep's confounds files: choosing regressors, and what they say about each volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bidsface.errors import InputError
from bidsface.files import Run
from bidsface.recipe import Cleaning

MOTION6 = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")
MOTION24 = tuple(
    f"{name}{suffix}"
    for suffix in ("", "_derivative1", "_power2", "_derivative1_power2")
    for name in MOTION6
)
GROUPS = {"motion6": MOTION6, "motion24": MOTION24, "none": ()}
"""Names that stand for several columns (motion24: Friston et al. 1996, Magn Reson Med 35)."""

STRATEGY = "strategy:"
FD = "framewise_displacement"


@dataclass(frozen=True, eq=False)
class Confounds:
    """What the confounds file of a run says.

    Attributes
    ----------
    selected : DataFrame of n_volumes rows
        Columns to regress out; no value is missing.
    steady : ndarray of shape (n_volumes,), bool
        False for the non-steady-state volumes that fMRIPrep marked.
    scrubbed : ndarray of shape (n_volumes,), bool
        True where nilearn's scrubbing strategy, if asked for, removes the volume.
    framewise_displacement : ndarray of shape (n_volumes,) or None
        mm; 0 for the first volume.
    motion : ndarray of shape (n_volumes, 6) or (n_volumes, 0)
        Translations (mm) and rotations (rad), if the file has them all.
    """

    selected: pd.DataFrame
    steady: NDArray[np.bool_]
    scrubbed: NDArray[np.bool_]
    framewise_displacement: NDArray[np.float64] | None
    motion: NDArray[np.float64]


def read_confounds(run: Run, n_volumes: int, cleaning: Cleaning) -> Confounds:
    """Read the confounds of a run.

    Raises
    ------
    InputError
        If the file is missing, unreadable or of another length than the run, or if it lacks
        something that ``cleaning`` asks for.
    """
    if run.confounds is None:
        return _without_file(run, n_volumes, cleaning)
    frame = _read(run, n_volumes)
    names, strategies = _split(cleaning.confounds)
    selected = [_columns(run, frame, names)]
    scrubbed = np.zeros(n_volumes, bool)
    if strategies:
        columns, scrubbed = _apply_strategies(run, frame, strategies, cleaning)
        selected.append(_fill_first(run, columns))
    columns = pd.concat(selected, axis=1)
    return Confounds(
        selected=columns.loc[:, ~columns.columns.duplicated()],
        steady=~_marked(frame, "non_steady_state"),
        scrubbed=scrubbed,
        framewise_displacement=_displacement(run, frame, cleaning),
        motion=_columns(run, frame, MOTION6).to_numpy(float)
        if set(MOTION6) <= set(frame.columns)
        else np.empty((n_volumes, 0)),
    )


def _without_file(run: Run, n_volumes: int, cleaning: Cleaning) -> Confounds:
    """Return empty confounds where nothing needs the file."""
    limits = (cleaning.fd_threshold, cleaning.max_mean_fd)
    if cleaning.confounds not in ("none", ()) or any(limit is not None for limit in limits):
        raise InputError(
            f"{run.bold}: no confounds file (desc-confounds_timeseries.tsv) goes with this run, "
            "but cleaning.confounds or a limit on framewise displacement needs one"
        )
    return Confounds(
        selected=pd.DataFrame(index=range(n_volumes)),
        steady=np.ones(n_volumes, bool),
        scrubbed=np.zeros(n_volumes, bool),
        framewise_displacement=None,
        motion=np.empty((n_volumes, 0)),
    )


def _read(run: Run, n_volumes: int) -> pd.DataFrame:
    try:
        frame = pd.read_csv(str(run.confounds), sep="\t")
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{run.confounds}: cannot be read as a table ({reason})") from error
    if len(frame) != n_volumes:
        raise InputError(
            f"{run.confounds}: {len(frame)} rows, but {run.bold} has {n_volumes} volumes"
        )
    return frame


def _split(request: str | Sequence[str]) -> tuple[list[str], list[str]]:
    """Return names of columns and names of strategies."""
    items = [request] if isinstance(request, str) else list(request)
    names = [name for item in items for name in GROUPS.get(item, (item,))]
    strategies = [name.removeprefix(STRATEGY) for name in names if name.startswith(STRATEGY)]
    return [name for name in names if not name.startswith(STRATEGY)], strategies


def _columns(run: Run, frame: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise InputError(
            f"{run.confounds}: no column {', '.join(missing)}; it has {', '.join(frame.columns)}"
        )
    return _fill_first(run, frame[list(names)])


def _fill_first(run: Run, columns: pd.DataFrame) -> pd.DataFrame:
    """Give derivatives, which have no first value, their second one, as nilearn does."""
    filled = columns.apply(pd.to_numeric, errors="coerce").astype(float)
    if len(filled) > 1:
        filled.iloc[0] = filled.iloc[0].fillna(filled.iloc[1])
    incomplete = filled.columns[~np.isfinite(filled.to_numpy()).all(axis=0)]
    if len(incomplete):
        raise InputError(
            f"{run.confounds}: missing or non-numeric values after the first row in "
            f"{', '.join(incomplete)}"
        )
    return filled.reset_index(drop=True)


def _marked(frame: pd.DataFrame, prefix: str) -> NDArray[np.bool_]:
    """Return which volumes are marked by the one-hot columns of a prefix."""
    names = [name for name in frame.columns if name.startswith(prefix)]
    return np.asarray((frame[names].to_numpy(float) > 0).any(axis=1))


def _displacement(run: Run, frame: pd.DataFrame, cleaning: Cleaning) -> NDArray[np.float64] | None:
    if FD not in frame.columns:
        if cleaning.fd_threshold is None and cleaning.max_mean_fd is None:
            return None
        raise InputError(
            f"{run.confounds}: no column {FD}, which a limit on framewise displacement needs; "
            f"it has {', '.join(frame.columns)}"
        )
    displacement = pd.to_numeric(frame[FD], errors="coerce").to_numpy(float, copy=True)
    displacement[0] = np.nan_to_num(displacement[0])
    if not np.isfinite(displacement).all():
        raise InputError(f"{run.confounds}: missing values after the first row in {FD}")
    return displacement


def _apply_strategies(
    run: Run, frame: pd.DataFrame, strategies: Sequence[str], cleaning: Cleaning
) -> tuple[pd.DataFrame, NDArray[np.bool_]]:
    """Return columns that nilearn's strategies choose, and the volumes that they scrub."""
    from nilearn.interfaces.fmriprep import load_confounds
    from nilearn.interfaces.fmriprep.load_confounds import ConfoundStrategy

    known = get_args(ConfoundStrategy)
    unknown = [name for name in strategies if name not in known]
    if unknown:
        raise InputError(
            f"cleaning.confounds: no strategy {', '.join(unknown)}; nilearn has {', '.join(known)}"
        )
    # Non-steady-state volumes are dropped anyhow. CompCor's components were computed on data
    # filtered by fMRIPrep's cosines, without which they must not be used.
    wanted = [name for name in dict.fromkeys(strategies) if name != "non_steady_state"]
    if "compcor" in wanted and "high_pass" not in wanted:
        wanted.append("high_pass")
    if not wanted:
        return pd.DataFrame(index=frame.index), np.zeros(len(frame), bool)
    threshold = {} if cleaning.fd_threshold is None else {"fd_threshold": cleaning.fd_threshold}
    try:
        columns, sample_mask = load_confounds(
            str(run.bold), strategy=wanted, ica_aroma="basic", demean=False, **threshold
        )
    except (ValueError, KeyError, OSError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{run.confounds}: nilearn's strategies {', '.join(wanted)} cannot be applied "
            f"({reason}); it has {', '.join(frame.columns)}"
        ) from error
    scrubbed = np.zeros(len(frame), bool)
    if sample_mask is not None:
        scrubbed[np.setdiff1d(np.arange(len(frame)), sample_mask)] = True
    return columns, scrubbed & ~_marked(frame, "non_steady_state")
