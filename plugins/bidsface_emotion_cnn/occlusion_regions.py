"""What classes lose where whole regions are emptied."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bidsface.analysis import Column, Summary, Table
from bidsface.statistics import fdr, mean_interval
from bidsface_emotion_cnn.gathering import Cohort
from bidsface_emotion_cnn.group_occlusion import group_occlusion
from bidsface_emotion_cnn.occluding import FLIPS, Occluded
from bidsface_emotion_cnn.tools import Tools

REGION_COLUMNS = {
    "roi_name": Column("Region that was emptied"),
    "class": Column("Class of the volumes"),
    "drop": Column(
        "Mean drop of the class's probability over participants, in volumes that were drawn "
        "whatever the network says of them"
    ),
    "ci_low": Column("Lower end of the t-based 95 % confidence interval over participants"),
    "ci_high": Column("Upper end of it"),
    "p": Column("One-tailed p of a drop, by sign flips of participants"),
    "p_fdr": Column("p adjusted by Benjamini and Hochberg over regions and classes"),
    "n": Column("Number of participants whose volumes of the class were tested"),
    "drop_shown": Column(
        "Mean drop over participants in the volumes that the maps show, which the network "
        "recognizes well: without p, since a high probability is likelier to drop than to rise"
    ),
    "n_shown": Column("Number of participants who have such volumes"),
}


def region_table(occluded: Occluded, cohort: Cohort, tools: Tools) -> Table:
    """Return how much every class loses where a region is emptied."""
    tested = group_occlusion(occluded.regions, FLIPS, tools.seed("occlusion", "regions"))
    rows = []
    for code, name in enumerate(cohort.volumes.classes):
        for place, region in enumerate(occluded.region_names):
            own = -occluded.regions[:, code, place]
            own = own[np.isfinite(own)]
            low, high = _interval(own)
            rows.append(
                {
                    "roi_name": region,
                    "class": name,
                    "drop": float(own.mean()) if len(own) else np.nan,
                    "ci_low": low,
                    "ci_high": high,
                    "p": float(tested.p[code, place]),
                    "n": len(own),
                    "drop_shown": 0.0 - float(occluded.regions_shown[code, place]),
                    "n_shown": int(occluded.n_shown[code]),
                }
            )
    frame = pd.DataFrame(rows)
    frame["p_fdr"] = fdr(frame["p"].to_numpy(float))
    return Table(
        "scores",
        frame[list(REGION_COLUMNS)],
        REGION_COLUMNS,
        {**cohort.entities, "contrast": "regions"},
        "Drop of the classes' probabilities where whole regions are emptied",
    )


def _interval(values: NDArray[np.floating]) -> tuple[float, float]:
    return mean_interval(values) if len(values) > 1 else (float("nan"), float("nan"))


def region_summary(frame: pd.DataFrame) -> Summary:
    """Return the drops of all classes where regions are emptied, for the report."""
    wide = frame.pivot_table(index="roi_name", columns="class", values="drop", sort=False)
    # Adding 0 turns what was rounded to -0 into 0.
    table = (wide.round(3) + 0.0).rename_axis(None, axis=1).reset_index()
    return Summary(
        "Drop of probability where a region is emptied",
        table.rename(columns={"roi_name": "Region"}),
        "Mean over participants, of volumes of each class that were drawn whatever the network "
        "says of them.",
    )
