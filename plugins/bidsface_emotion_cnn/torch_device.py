"""Where networks compute."""

from __future__ import annotations

import torch


def torch_device(wanted: str) -> str:
    """Return the device of an option.

    Parameters
    ----------
    wanted : str
        ``cpu``, ``cuda``, or ``auto``: the GPU where there is one.

    Raises
    ------
    ValueError
        If ``cuda`` is wanted and there is none.
    """
    if wanted == "cpu":
        return "cpu"
    if torch.cuda.is_available():
        return "cuda"
    if wanted == "cuda":
        raise ValueError("device cuda: torch finds no GPU")
    return "cpu"
