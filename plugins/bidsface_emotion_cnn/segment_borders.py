"""The borders between segments of a film, across which the film goes on.

Scanner runs part a film, not its scenes: the last second that one run shows is followed by the
first one of the next run. Where whole segments are held out, what lies next to them is left out of
training, so that the neighbours of a tested second are in no other part.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bidsface_emotion_cnn.label_options import LabelOptions
from bidsface_emotion_cnn.resampling import Floats, Indices
from bidsface_emotion_cnn.splits import Fold

ROUNDING = 1e-6
"""s; times are multiples of the repetition time up to rounding, which must not decide."""


def film_times(table: pd.DataFrame, options: LabelOptions) -> Floats | None:
    """Return the second of the film that every volume's label comes from, (n_volumes,).

    Parameters
    ----------
    table : DataFrame
        With the columns ``segment`` and ``time`` (s from the beginning of the run).
    options : LabelOptions
        With which the table was made.

    Returns
    -------
    ndarray or None
        s; None where labels are those of events, which belong to no film.
    """
    if options.source == "events":
        return None
    within = table["time"].to_numpy(float) - options.shift
    if not options.segments:
        return within
    starts = {
        name: segment.start
        for name, segment in zip(options.segment_names, options.segments, strict=True)
    }
    return within + table["segment"].astype(str).map(starts).to_numpy(float)


def apart(fold: Fold, codes: NDArray[Any], times: Floats, seconds: float) -> Fold:
    """Return a fold without what is trained or validated on near to a tested second of the film.

    Parameters
    ----------
    fold : Fold
    codes : ndarray of int, shape (n_volumes,)
        Classes.
    times : ndarray of shape (n_volumes,)
        s of the film, in whomever.
    seconds : float
        What counts as near (s of the film), this included.

    Raises
    ------
    ValueError
        If no volume of a class is left to train on, or none to validate.
    """
    tested = np.unique(times[fold.test])

    def far(part: Indices) -> Indices:
        first, last = (
            np.searchsorted(tested, times[part] + sign * (seconds + ROUNDING)) for sign in (-1, 1)
        )
        return part[first == last]

    found = replace(fold, train=far(fold.train), validation=far(fold.validation))
    lost = np.setdiff1d(codes[fold.train], codes[found.train])
    if len(lost) or not len(found.validation):
        where = "validate" if not len(lost) else f"train on for {len(lost)} of the classes"
        raise ValueError(
            f"fold {fold.name}: nothing to {where} is more than {seconds:g} s of the film away "
            "from what is tested; segments are too short"
        )
    return found
