"""What people see of a group's RDMs: figures, tables and findings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bidsface.analysis import Figure, ParticipantResults, Summary
from bidsface.backgrounds import mean_background
from bidsface.numerics.rdm_statistics import STATISTICS
from bidsface_emotion_cnn.rsa import RsaOptions
from bidsface_emotion_cnn.rsa_figures import ModelBar, model_figure
from bidsface_emotion_cnn.rsa_report import (
    LEVEL,
    model_title,
    rdm_panels,
    scaling_panels,
    sphere_figure,
    sphere_sentence,
    unreachable,
)

if TYPE_CHECKING:
    from bidsface_emotion_cnn.rsa_group import GroupTask

RESAMPLED = {
    "both": "participants and classes",
    "participants": "participants",
    "conditions": "classes",
}


def group_figures(
    participants: Sequence[ParticipantResults], found: GroupTask, options: RsaOptions
) -> Iterator[Figure]:
    """Yield mean RDMs, places of classes, similarity with models, and maps of spheres."""
    people = _people(found.labels)
    means = {one.name: one.rdms.mean(axis=0) for one in found.regions}
    if means:
        title = f"Mean RDMs, task {found.task}, {people}"
        yield rdm_panels(means, found.classes, title, found.entities, options)
        title = f"Classes by their mean RDMs, task {found.task}"
        yield scaling_panels(means, found.classes, title, found.entities)
    if not found.scores.empty:
        yield _models(found, options)
    if found.spheres is not None:
        spheres = found.spheres
        background = mean_background(participants, spheres.voxels.grid)
        for model, test in spheres.tests.items():
            whose = f"mean of {_people(spheres.labels)}"
            title = f"RSA searchlight, task {found.task}, {whose}: {model}"
            entities = {**spheres.entities, "contrast": model}
            words = (title, spheres.where)
            yield sphere_figure(test, spheres.voxels, words, entities, options, background)


def _people(labels: Sequence[str]) -> str:
    return f"{len(labels)} participant{'s' * (len(labels) > 1)}"


def _models(found: GroupTask, options: RsaOptions) -> Figure:
    panels: dict[str, list[ModelBar]] = {}
    for row in found.scores.to_dict("records"):
        model, given = row["model_name"], row["given"]
        bar = ModelBar(
            row["roi_name"],
            row["value"],
            found.similarities[row["roi_name"], model, given].tolist(),
            (row["ci_low"], row["ci_high"]),
            (row["ceiling_low"], row["ceiling_high"]),
            row["p_fdr"],
        )
        panels.setdefault(model_title(model, given), []).append(bar)
    description = STATISTICS[options.statistic].description
    lines = (
        ""
        if found.resampled is None
        else f"Lines: 95 % confidence intervals over {RESAMPLED[found.resampled]}. "
    )
    caption = (
        f"{description} of RDMs and models. Bars: mean; small dots: participants. {lines}"
        "Grey: noise ceiling, which the best of all models would reach. Stars: Wilcoxon test "
        "against 0, adjusted by the false discovery rate (* < 0.05, ** < 0.01, *** < 0.001)."
    )
    drawing = model_figure(panels, description)
    return Figure("models", drawing, f"Models, task {found.task}", caption, found.entities)


def group_summaries(found: GroupTask, options: RsaOptions) -> Iterator[Summary]:
    """Yield a table of similarities, and one of the differences between models."""
    if found.scores.empty:
        return
    shown = found.scores.assign(
        model_name=[
            model_title(model, given)
            for model, given in zip(found.scores["model_name"], found.scores["given"], strict=True)
        ]
    )
    names = {
        "roi_name": "Region",
        "model_name": "Model",
        "value": STATISTICS[options.statistic].description,
        "ci_low": "CI low",
        "ci_high": "CI high",
        "p": "p",
        "p_fdr": "p (FDR)",
        "p_classes": "p (classes)",
        "ceiling_low": "Ceiling low",
        "ceiling_high": "Ceiling high",
    }
    several = len(found.labels) > 1
    people = f"{_people(found.labels)}, {len(found.classes)} classes"
    reach = f" (smallest: {_range(found.scores['p_min'])})" if several else ""
    caption = (
        f"{people}. p: Wilcoxon test of the participants' similarities against 0{reach}; p "
        "(classes): the model's classes permuted for all participants (smallest: "
        f"{_range(found.scores['p_classes_min'])}, by the model)."
    )
    yield Summary(f"Models, task {found.task}", _rounded(shown, names), caption)
    if not found.comparisons.empty:
        names = {
            "roi_name": "Region",
            "model_1": "Model",
            "model_2": "less",
            "value": "Difference",
            "ci_low": "CI low",
            "ci_high": "CI high",
            "p": "p",
            "p_fdr": "p (FDR)",
        }
        yield Summary(
            f"Differences between models, task {found.task}",
            _rounded(found.comparisons, names),
            "p: two-tailed Wilcoxon test of the participants' differences.",
        )


def _range(values: pd.Series) -> str:
    """Return the least and the largest number of a column, or the one that all are."""
    low, high = f"{values.min():.3g}", f"{values.max():.3g}"
    return low if low == high else f"{low} to {high}"


def _rounded(frame: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    """Return columns under other names, numbers with three digits."""
    columns = {}
    for name, title in names.items():
        every = frame[name]
        columns[title] = [float(f"{one:.3g}") if isinstance(one, float) else one for one in every]
    return pd.DataFrame(columns)


def group_highlights(found: GroupTask, options: RsaOptions) -> Iterator[str]:
    """Yield where every model fits, and what the searchlight found."""
    alone = found.scores[found.scores["given"] == "none"]
    description = STATISTICS[options.statistic].description
    for model, rows in alone.groupby("model_name", sort=False):
        if rows["value"].isna().all():
            continue
        best = rows.iloc[int(np.nanargmax(rows["value"].to_numpy(float)))]
        text = (
            f"Task {found.task}, model {model}: mean {description} up to {best['value']:.2f} in "
            f"{best['roi_name']}"
        )
        if len(found.labels) > 1:
            names = ", ".join(map(str, rows[rows["p_fdr"] <= LEVEL]["roi_name"])) or "no region"
            text += (
                f" (noise ceiling {best['ceiling_low']:.2f} to {best['ceiling_high']:.2f}); above "
                f"0 (FDR) in {names}"
            )
        yield f"{text}."
    if found.spheres is not None:
        for model, test in found.spheres.tests.items():
            yield sphere_sentence(f"task {found.task}, mean, model {model}", test, options)


def group_warnings(found: Sequence[GroupTask]) -> Iterator[str]:
    """Yield what a reader has to know: tests that can show nothing, intervals that are missing."""
    for task in found:
        if task.scores.empty:
            continue
        alone = task.scores[task.scores["given"] == "none"]
        for model, rows in alone.groupby("model_name", sort=False):
            smallest = float(rows["p_classes_min"].min())
            if smallest > LEVEL:
                yield unreachable(f"task {task.task}, model {model}", smallest)
        smallest = float(np.nanmin(alone["p_min"])) if alone["p_min"].notna().any() else 0.0
        if smallest > LEVEL:
            yield (
                f"task {task.task}: with {len(task.labels)} participants the smallest p of the "
                f"Wilcoxon test is {smallest:.3g}"
            )
        if task.resampled == "participants" and len(task.classes) < 4:
            yield (
                f"task {task.task}: intervals hold for other participants only, as "
                f"{len(task.classes)} classes are too few to be resampled"
            )
