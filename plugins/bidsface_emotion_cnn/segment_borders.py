"""The borders between segments of a film, across which the film goes on.

Scanner runs part a film, not its scenes: the last second that one run shows is followed by the
first one of the next run. Where whole segments are held out, what lies next to them is left out of
training, so that the neighbours of a tested second are in no other part.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bidsface_emotion_cnn.label_options import LabelOptions
from bidsface_emotion_cnn.resampling import Floats, Indices

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


def far_from(tested: Indices, times: Floats, seconds: float) -> NDArray[np.bool_]:
    """Return which volumes are not near to a tested second of the film, (n_volumes,).

    Parameters
    ----------
    tested : ndarray of int
        Rows of the tested volumes.
    times : ndarray of shape (n_volumes,)
        s of the film, in whomever.
    seconds : float
        What counts as near (s of the film), this included.
    """
    known = np.unique(times[tested])
    first, last = (np.searchsorted(known, times + sign * (seconds + ROUNDING)) for sign in (-1, 1))
    return np.asarray(first == last)
