"""The expression of signature maps in the images of one participant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bidsface.analysis import (
    Column,
    Figure,
    Participant,
    Results,
    Summary,
    Table,
    usable_tasks,
)
from bidsface.entities import every_entity
from bidsface.errors import InputError
from bidsface.volumes import read_volume, to_grid
from bidsface_facs import text
from bidsface_facs.expression import MEASURES, express, standardized
from bidsface_facs.images import TrialImages, event_images, joined, numbers
from bidsface_facs.participant import TRIAL_COLUMNS
from bidsface_facs.signature import SignatureOptions
from bidsface_facs.signature_figures import expression_figure

EXPRESSION_COLUMNS = {
    "signature": Column("Name of the signature map"),
    **TRIAL_COLUMNS,
    "target": Column("What expressions are compared with, as measured"),
    **{name: Column(description) for name, description in MEASURES.items()},
}


@dataclass(frozen=True, eq=False)
class Pattern:
    """A signature on the participant's voxels.

    Attributes
    ----------
    columns : ndarray of shape (n_used,)
        Voxels of the participant where the signature is not 0.
    values : ndarray of shape (n_used,)
    overlap : float
        Share of the signature's weight that lies on these voxels.
    """

    name: str
    columns: NDArray[np.intp]
    values: NDArray[np.float32]
    overlap: float


def express_signatures(participant: Participant, options: SignatureOptions) -> Results:
    """Compare the images of a participant's events with signature maps.

    Parameters
    ----------
    participant : Participant
    options : SignatureOptions

    Raises
    ------
    InputError
        If a map cannot be read or has no voxel in common with the data.
    """
    tasks, notes = usable_tasks(participant, options.tasks, "used")
    images = joined([_task_images(participant, task, options) for task in tasks])
    patterns = [
        read_pattern(name, Path(path).expanduser(), participant, options)
        for name, path in options.maps.items()
    ]
    per_image = options.standardize == "image"
    frame = pd.concat(
        [_rows(pattern, images, per_image) for pattern in patterns], ignore_index=True
    )
    methods = text.signature_methods(options)
    table = Table(
        "predictions", frame, EXPRESSION_COLUMNS, images.entities, "Expression of signature maps"
    )
    return Results(
        tables=[table],
        figures=[_figure(pattern, frame, images) for pattern in patterns],
        summaries=[_summary(frame)],
        methods=methods,
        citations=text.citations_of(methods),
        highlights=[_highlight(pattern, frame) for pattern in patterns],
        warnings=[*notes, *_overlaps(patterns, options)],
    )


def _task_images(participant: Participant, task: str, options: SignatureOptions) -> TrialImages:
    samples = participant.samples(options.samples or participant.sample_names[0], task)
    target = np.full(len(samples.table), np.nan)
    if options.target is not None:
        target = numbers(samples.events, options.target, f"sub-{participant.label}, task {task}")
    return event_images(samples, task, target, np.empty((len(target), 0)))


def read_pattern(
    name: str, path: Path, participant: Participant, options: SignatureOptions
) -> Pattern:
    """Read a signature and bring it to the participant's voxels.

    Raises
    ------
    InputError
        If the file is no 3-D image, is of another space, or shares no voxel with the data.
    """
    grid = participant.voxels.grid
    values, affine = read_volume(path)
    entities = every_entity(path.name)
    space = entities.get("space") or entities.get("tpl")
    if space is not None and space != grid.space:
        raise InputError(f"{path}: is in space {space}, the data are in {grid.space or 'native'}")
    flat = np.nan_to_num(to_grid(values, affine, grid, "continuous").ravel())
    inside = np.arange(len(participant.voxels.index))
    if options.region is not None:
        inside = participant.regions[options.region].columns
    own = flat[participant.voxels.index[inside]]
    if not own.any():
        raise InputError(f"{path}: is 0 in all voxels of sub-{participant.label}")
    total = float(np.abs(flat).sum())
    overlap = float(np.abs(own).sum()) / total
    return Pattern(name, inside[own != 0], own[own != 0], overlap)


def _rows(pattern: Pattern, images: TrialImages, per_image: bool) -> pd.DataFrame:
    X = images.X[:, pattern.columns]
    found = express(standardized(X) if per_image else X, pattern.values)
    frame = images.table.assign(signature=pattern.name, target=images.target, **found)
    return frame[list(EXPRESSION_COLUMNS)]


def _overlaps(patterns: Sequence[Pattern], options: SignatureOptions) -> list[str]:
    return [
        f"only {100 * one.overlap:.0f} % of the weight of signature {one.name} lies on voxels of "
        "the data"
        for one in patterns
        if one.overlap < options.smallest_overlap
    ]


def _figure(pattern: Pattern, frame: pd.DataFrame, images: TrialImages) -> Figure:
    own = frame[frame["signature"] == pattern.name]
    return Figure(
        "expression",
        expression_figure(own["trial_type"], own["correlation"], "correlation with the signature"),
        f"Expression of {pattern.name}",
        "Correlation over voxels of every event's image with the signature, by class; lines: their "
        "means.",
        {**images.entities, "contrast": pattern.name},
    )


def _summary(frame: pd.DataFrame) -> Summary:
    means = frame.groupby(["signature", "trial_type"], sort=False)[list(MEASURES)].mean()
    rows = means.map(lambda value: float(f"{value:.3g}")).reset_index()
    names = {"signature": "Signature", "trial_type": "Class"}
    return Summary("Mean expression of signatures", rows.rename(columns=names))


def _highlight(pattern: Pattern, frame: pd.DataFrame) -> str:
    own = frame[frame["signature"] == pattern.name]
    text_ = (
        f"Signature {pattern.name}: mean correlation with {len(own)} images "
        f"{own['correlation'].mean():.3f}"
    )
    known = own.dropna(subset=["target", "dot"])
    if len(known) > 2 and np.ptp(known["target"]) > 0:
        rho = known["target"].corr(known["dot"], method="spearman")
        text_ += f"; rank correlation of its dot product with the target {rho:.2f}"
    return f"{text_}."
