"""What people see of a searchlight: peaks, figures, tables and sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bidsface.analysis import Column, Entities, Figure, Participant, Summary, Table, Voxels
from bidsface.figures import slices
from bidsface.numerics.map_tests import MapTest
from bidsface_decoding.report import chance_text
from bidsface_decoding.scoring import METRICS
from bidsface_decoding.searchlight import SearchlightOptions
from bidsface_decoding.searchlight_maps import DirectionMaps, ParticipantMaps

N_PEAKS = 10

SCORE_COLUMNS: Mapping[str, Column] = {
    "train_task": Column("Task that the classifier was trained on"),
    "test_task": Column("Task that the classifier was tested on"),
    "estimator": Column("Classifier"),
    "metric": Column("What the scores are"),
    "chance": Column("Score to expect by chance; n/a where it is not known"),
    "value": Column("Mean score over the spheres, 0 to 1"),
    "largest": Column("Largest score of a sphere"),
    "n_voxels": Column("Number of spheres"),
    "n_significant": Column("Spheres with a p of at most 0.05, corrected over voxels"),
    "p_fwe": Column("Smallest p, corrected over voxels"),
    "p_min": Column("Smallest p that the permutations can reach"),
    "n": Column("Number of samples that were tested"),
}


def score_table(found: ParticipantMaps, options: SearchlightOptions) -> Table:
    """Return one row per direction: chance, the mean and the largest score."""
    rows = [
        {
            "train_task": one.direction.train,
            "test_task": one.direction.test,
            "estimator": options.estimator,
            "metric": options.metric,
            "chance": one.chance,
            "value": float(one.scores[0].mean(dtype=np.float64)),
            "largest": float(one.scores[0].max()),
            "n_voxels": one.scores.shape[1],
            "n_significant": np.nan if one.test is None else count_significant(one.test),
            "p_fwe": np.nan if one.test is None else float(one.test.p_fwe.min()),
            "p_min": np.nan if one.test is None else one.test.smallest_p,
            "n": one.n_test,
        }
        for one in found.maps
    ]
    frame = pd.DataFrame(rows, columns=list(SCORE_COLUMNS))
    text = f"Scores of decoding in spheres of {options.radius:g} mm, over all spheres"
    return Table("scores", frame, SCORE_COLUMNS, found.entities, text)


def count_significant(test: MapTest) -> int:
    """Return the number of voxels with a corrected p of at most 0.05."""
    return int((test.p_fwe <= 0.05).sum())


def find_peaks(scores: NDArray[Any], voxels: Voxels, distance: float) -> list[int]:
    """Return the voxels of the largest scores, at least ``distance`` mm apart."""
    affine = voxels.grid.affine
    index = np.stack(np.unravel_index(voxels.index, voxels.grid.shape), axis=1)
    places = index @ affine[:3, :3].T + affine[:3, 3]
    left = np.asarray(scores, dtype=np.float64).copy()
    peaks: list[int] = []
    while len(peaks) < N_PEAKS and np.isfinite(left).any():
        peaks.append(int(left.argmax()))
        left[np.linalg.norm(places - places[peaks[-1]], axis=1) < distance] = -np.inf
    return peaks


def peak_rows(
    scores: NDArray[Any],
    voxels: Voxels,
    options: SearchlightOptions,
    columns: Mapping[str, NDArray[Any]],
) -> pd.DataFrame:
    """Return peaks with their coordinates (mm), score, and values of further maps there."""
    affine, grid = voxels.grid.affine, voxels.grid
    label = METRICS[options.metric].description.capitalize()
    rows = []
    for peak in find_peaks(scores, voxels, 2 * options.radius):
        place = np.array(np.unravel_index(voxels.index[peak], grid.shape))
        x, y, z = affine[:3, :3] @ place + affine[:3, 3]
        row = {"x (mm)": x, "y (mm)": y, "z (mm)": z, label: round(float(scores[peak]), 3)}
        rows.append(row | {name: float(f"{own[peak]:.3g}") for name, own in columns.items()})
    return pd.DataFrame(rows)


def peak_summary(
    one: DirectionMaps, found: ParticipantMaps, options: SearchlightOptions
) -> Summary:
    """Return the peaks of a direction."""
    columns: dict[str, NDArray[Any]] = {}
    caption = f"Peaks at least {2 * options.radius:g} mm apart; {chance_text(one.chance)}."
    if one.test is not None:
        columns = {"p": one.test.p, "p (FWE)": one.test.p_fwe}
        caption += (
            " FWE: corrected over voxels by the largest score of every permuted map. The smallest "
            f"p that the permutations can reach is {one.test.smallest_p:.3g}."
        )
    columns["Voxels in sphere"] = found.sizes
    frame = peak_rows(one.scores[0], found.voxels, options, columns)
    return Summary(f"Searchlight {one.direction.title}", frame, caption)


def participant_figures(
    participant: Participant, found: ParticipantMaps, options: SearchlightOptions
) -> Iterator[Figure]:
    """Yield a map of every direction on slices."""
    for one in found.maps:
        entities = {**one.entities, "contrast": one.direction.contrast}
        yield score_figure(
            one.scores[0],
            one.chance,
            one.test,
            found.voxels,
            f"Searchlight {one.direction.title}",
            entities,
            options,
            participant.background,
        )


def score_figure(
    scores: NDArray[Any],
    chance: float,
    test: MapTest | None,
    voxels: Voxels,
    title: str,
    entities: Entities,
    options: SearchlightOptions,
    background: NDArray[np.float32] | None = None,
) -> Figure:
    """Return the figure of a map of scores, above and below chance."""
    label = METRICS[options.metric].description
    known = not np.isnan(chance)
    centre = chance if known else float(np.median(scores))
    threshold = None
    fading = "Weak values fade out."
    if test is not None and np.isfinite(test.threshold) and test.threshold > centre:
        threshold = test.threshold - centre
        fading = "Values that are not significant (p corrected over voxels above 0.05) fade out."
    name = "chance" if known else "the median"
    drawing = slices(
        np.asarray(scores, dtype=np.float64) - centre,
        voxels,
        title,
        background=background,
        label=f"{label} − {name}",
        threshold=threshold,
    )
    caption = (
        f"{label.capitalize()} minus {name} ({centre:.3g}) in spheres of {options.radius:g} mm "
        f"around every voxel. {fading}"
    )
    return Figure("searchlight", drawing, title, caption, entities)


def participant_highlights(found: ParticipantMaps, options: SearchlightOptions) -> Iterator[str]:
    """Yield a sentence per direction."""
    for one in found.maps:
        yield sentence(
            one.direction.title, one.scores[0], one.chance, one.test, found.voxels, options
        )


def sentence(
    title: str,
    scores: NDArray[Any],
    chance: float,
    test: MapTest | None,
    voxels: Voxels,
    options: SearchlightOptions,
) -> str:
    """Return a finding: the peak, where it is, and how much is significant."""
    frame = peak_rows(scores, voxels, options, {})
    x, y, z = (float(value) for value in frame.iloc[0, :3])
    label = METRICS[options.metric].description
    text = (
        f"Searchlight {title}: {label} up to {float(np.max(scores)):.2f} ({chance_text(chance)}) "
        f"at x = {x:.0f}, y = {y:.0f}, z = {z:.0f} mm"
    )
    if test is None:
        return f"{text}."
    n = count_significant(test)
    return f"{text}; {n:,} of {len(scores):,} voxels with p (FWE) of at most 0.05."


def shared(entities: Sequence[Entities], without: Sequence[str] = ()) -> dict[str, str]:
    """Return the entities that all have in common."""
    common = set.intersection(*(set(own.items()) for own in entities))
    return {
        key: value
        for key, value in entities[0].items()
        if (key, value) in common and key not in without
    }
