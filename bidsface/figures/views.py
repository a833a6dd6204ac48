"""Interactive views of maps: slices to click through, in a web page of its own."""

from __future__ import annotations

import re
import warnings
from html import escape

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from bidsface.analysis import Voxels


def interactive_view(
    values: NDArray[np.floating],
    voxels: Voxels,
    title: str,
    background: NDArray[np.floating] | None = None,
    threshold: float | None = None,
) -> str:
    """Return a web page with the map on slices that follow the mouse; it loads nothing.

    Parameters
    ----------
    values : ndarray of shape (n_voxels,)
    voxels : Voxels
    title : str
    background : ndarray of the grid's shape, optional
    threshold : float, optional
        Smaller values (in size) are transparent.
    """
    from nilearn.plotting import view_img

    grid = voxels.grid
    flat = np.zeros(int(np.prod(grid.shape)), np.float32)
    flat[voxels.index] = np.nan_to_num(values)
    below = np.zeros(grid.shape, np.float32) if background is None else background
    with warnings.catch_warnings():
        # nilearn warns of what it does by itself to images whose voxels are not isotropic.
        warnings.simplefilter("ignore")
        view = view_img(
            nib.Nifti1Image(flat.reshape(grid.shape), grid.affine),
            bg_img=nib.Nifti1Image(np.asarray(below, np.float32), grid.affine),
            threshold=1e-12 if threshold is None else threshold,
            black_bg=False,
            resampling_interpolation="nearest",
        )
        page = str(view.get_standalone())
    # Names of elements are random, and equal results have to be equal files.
    page = re.sub(r'<link\s[^>]*rel="[^"]*icon[^>]*>', "", page)  # would be fetched from the web
    page = re.sub(r"(?<=-)[0-9a-f]{32}(?=\W)", "view", page)
    return _with_title(page, escape(title))


def _with_title(page: str, title: str) -> str:
    """Put a title above the slices, where there is room for all of it."""
    head = f'<h1 style="font: bold 1rem sans-serif; margin: 0 0 .5rem">{title}</h1>'
    page = re.sub(r"<title>.*?</title>", lambda _: f"<title>{title}</title>", page, count=1)
    return re.sub(r"<body[^>]*>", lambda found: found[0] + head, page, count=1)
