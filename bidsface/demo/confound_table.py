"""fMRIPrep's table of confounds, computed from a run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bidsface.demo.anatomy import Anatomy
from bidsface.demo.motion import framewise_displacement
from bidsface.demo.trials import REPETITION_TIME

HIGH_PASS = 128.0
"""Cut-off period of the cosines (s)."""
COMPONENTS = 5
OUTLIER_FD, OUTLIER_DVARS = 0.5, 1.5
"""fMRIPrep's thresholds for motion outliers: mm, and standardized DVARS."""


def confound_table(
    data: NDArray[np.float32],
    anatomy: Anatomy,
    parameters: pd.DataFrame,
    n_unsteady: int,
    repetition_time: float = REPETITION_TIME,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Compute the confounds of one run.

    Parameters
    ----------
    data : ndarray of shape (t, p)
        The run's signal in the brain's voxels.
    anatomy : Anatomy
    parameters : DataFrame
        The six motion parameters.
    n_unsteady : int
        Volumes at the start that are not in steady state.
    repetition_time : float
        s.

    Returns
    -------
    table : DataFrame
        Columns as fMRIPrep names them.
    description : dict
        Content of its JSON sidecar.
    """
    tissue = {"csf": anatomy.csf, "white_matter": anatomy.white}
    inside = {name: _most(fraction[anatomy.brain]) for name, fraction in tissue.items()}
    signals = {
        "global_signal": data.mean(axis=1),
        **{name: data[:, voxels].mean(axis=1) for name, voxels in inside.items()},
    }
    cosines = _cosines(len(data), n_unsteady, repetition_time)
    both = inside["csf"] | inside["white_matter"]
    components, description = _components(data[:, both], cosines.to_numpy(), n_unsteady)
    fd = framewise_displacement(parameters)
    dvars = _dvars(data)
    table = pd.concat(
        [
            _expanded(pd.DataFrame(signals)),
            pd.DataFrame({"std_dvars": dvars / np.nanmedian(dvars), "dvars": dvars}),
            fd.rename("framewise_displacement"),
            components,
            cosines,
            _spikes("non_steady_state_outlier", np.arange(len(data)) < n_unsteady),
            _expanded(parameters),
        ],
        axis=1,
    )
    outlier = (fd > OUTLIER_FD) | (table["std_dvars"] > OUTLIER_DVARS)
    outlier[: n_unsteady + 1] = False
    spikes = _spikes("motion_outlier", outlier.to_numpy())
    return pd.concat([table, spikes], axis=1), description


def _most(fraction: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return the voxels that consist most of a tissue: the top fiftieth of them."""
    return np.asarray(fraction >= np.quantile(fraction, 0.98))


def _expanded(table: pd.DataFrame) -> pd.DataFrame:
    """Add derivatives and squares, in fMRIPrep's order (Friston et al. 1996)."""
    columns: dict[str, pd.Series] = {}
    for name in table.columns:
        change = table[name].diff()
        columns[name] = table[name]
        columns[f"{name}_derivative1"] = change
        columns[f"{name}_power2"] = table[name] ** 2
        columns[f"{name}_derivative1_power2"] = change**2
    return pd.DataFrame(columns)


def _dvars(data: NDArray[np.float32]) -> NDArray[np.float64]:
    change = np.sqrt((np.diff(data, axis=0).astype(np.float64) ** 2).mean(axis=1))
    return np.concatenate([[np.nan], change])


def _cosines(n_volumes: int, n_unsteady: int, repetition_time: float) -> pd.DataFrame:
    """Discrete cosines with periods above the cut-off; zero outside of the steady state."""
    steady = n_volumes - n_unsteady
    order = int(np.floor(2 * steady * repetition_time / HIGH_PASS))
    index = np.arange(steady) + 0.5
    columns = {}
    for number in range(1, order + 1):
        wave = np.sqrt(2 / steady) * np.cos(np.pi * number * index / steady)
        columns[f"cosine{number - 1:02d}"] = np.concatenate([np.zeros(n_unsteady), wave])
    return pd.DataFrame(columns, index=range(n_volumes))


def _components(
    data: NDArray[np.float32], cosines: NDArray[np.float64], n_unsteady: int
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Principal components of white matter and CSF (Behzadi et al. 2007, NeuroImage 37:90-101)."""
    steady = data[n_unsteady:].astype(np.float64)
    basis, _ = np.linalg.qr(np.column_stack([np.ones(len(steady)), cosines[n_unsteady:]]))
    filtered = steady - basis @ (basis.T @ steady)
    filtered /= filtered.std(axis=0)
    left, singular, _ = np.linalg.svd(filtered, full_matrices=False)
    explained = singular**2 / (singular**2).sum()
    columns, description = {}, {}
    for number in range(COMPONENTS):
        name = f"a_comp_cor_{number:02d}"
        columns[name] = np.concatenate([np.zeros(n_unsteady), left[:, number]])
        description[name] = {
            "Method": "aCompCor",
            "Mask": "combined",
            "Retained": True,
            "SingularValue": float(singular[number]),
            "VarianceExplained": float(explained[number]),
            "CumulativeVarianceExplained": float(explained[: number + 1].sum()),
        }
    return pd.DataFrame(columns), description


def _spikes(name: str, where: NDArray[np.bool_]) -> pd.DataFrame:
    """One column for each volume that is an outlier."""
    volumes = np.flatnonzero(where)
    columns = {f"{name}{i:02d}": np.arange(len(where)) == v for i, v in enumerate(volumes)}
    return pd.DataFrame(columns, index=range(len(where))).astype(int)
