"""Images, tables and sidecars whose bytes depend on nothing but their content."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
from numpy.typing import NDArray


def write_image(
    path: Path,
    values: NDArray,
    affine: NDArray[np.float64],
    *,
    step: float | None = None,
    repetition_time: float | None = None,
) -> None:
    """Write a NIfTI image.

    Parameters
    ----------
    path : Path
        Ends in `.nii.gz`; its folder is made.
    values : ndarray
        Integers, or floats with `step`.
    affine : ndarray of shape (4, 4)
    step : float, optional
        Difference between neighbouring stored values; floats are stored as 16-bit integers.
    repetition_time : float, optional
        s.
    """
    stored = values if step is None else np.rint(values / step).astype(np.int16)
    image = nib.Nifti1Image(stored, affine)
    image.header.set_xyzt_units("mm", "sec")
    if step is not None:
        image.header.set_slope_inter(step, 0)
    if repetition_time is not None:
        image.header["pixdim"][4] = repetition_time
    image.set_sform(affine, code="mni")
    image.set_qform(affine, code="mni")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(image.to_bytes(), compresslevel=1, mtime=0))


def write_json(path: Path, content: Mapping) -> None:
    """Write a JSON file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def write_table(path: Path, table: pd.DataFrame, digits: int = 8) -> None:
    """Write a TSV file with `n/a` for what is missing and floats of so many significant digits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(
        path, sep="\t", index=False, na_rep="n/a", float_format=f"%.{digits}g", lineterminator="\n"
    )


def write_series(path: Path, table: pd.DataFrame, content: Mapping) -> None:
    """Write a regularly sampled recording: a compressed table without header, and its JSON file.

    Parameters
    ----------
    path : Path
        Ends in `.tsv.gz`.
    table : DataFrame
    content : mapping
        Of the JSON file, without `Columns`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = table.to_csv(
        sep="\t", index=False, header=False, na_rep="n/a", float_format="%.8g", lineterminator="\n"
    )
    path.write_bytes(gzip.compress(rows.encode(), compresslevel=1, mtime=0))
    write_json(
        path.with_name(path.name.removesuffix(".tsv.gz") + ".json"),
        {**content, "Columns": list(table.columns)},
    )
