"""What people see of a participant's RDMs: figures, tables and findings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bidsface.analysis import Entities, Figure, Participant, Summary, Voxels
from bidsface.figures import slices
from bidsface.numerics.dissimilarity import classical_scaling, square
from bidsface.numerics.map_tests import MapTest
from bidsface.numerics.rdm_statistics import STATISTICS
from bidsface_emotion_cnn.rsa import RsaOptions
from bidsface_emotion_cnn.rsa_figures import (
    MOST_PANELS,
    ModelBar,
    model_figure,
    rdm_figure,
    scaling_figure,
)

if TYPE_CHECKING:
    from bidsface_emotion_cnn.rsa_participant import TaskRdms

Floats = NDArray[np.float64]

LEVEL = 0.05

LABELS = {
    "correlation": "1 − r",
    "euclidean": "squared distance per voxel",
    "crossnobis": "crossnobis distance per voxel",
}
GIVEN = {"none": "", "others": " given the others"}


def model_title(model: str, given: str) -> str:
    """Return what a comparison with a model is called."""
    return f"{model}{GIVEN[given]}"


def participant_figures(
    participant: Participant, found: TaskRdms, options: RsaOptions
) -> Iterator[Figure]:
    """Yield the RDMs of regions, their similarity with models, and maps of spheres."""
    if found.regions:
        rdms = {one.name: one.rdm for one in found.regions}
        yield rdm_panels(rdms, found.classes, f"RDMs, task {found.task}", found.entities, options)
        if found.models:
            yield _models(found, options)
    if found.spheres is not None:
        where = f"spheres of {found.spheres.radius:g} mm"
        for model, test in found.spheres.tests.items():
            title = f"RSA searchlight, task {found.task}: {model}"
            yield sphere_figure(
                test,
                found.spheres.voxels,
                (title, where),
                {**found.entities, "contrast": model},
                options,
                participant.background,
            )


def rdm_panels(
    rdms: Mapping[str, Floats],
    classes: Sequence[str],
    title: str,
    entities: Entities,
    options: RsaOptions,
) -> Figure:
    """Return the figure of RDMs as heat maps."""
    squares = {name: square(rdm) for name, rdm in rdms.items()}
    caption = (
        f"Dissimilarity ({LABELS[options.dissimilarity]}) of the patterns of all pairs of classes. "
        f"{_shown(len(rdms))}"
    )
    drawing = rdm_figure(squares, classes, LABELS[options.dissimilarity])
    return Figure("rdm", drawing, title, caption.strip(), entities)


def scaling_panels(
    rdms: Mapping[str, Floats], classes: Sequence[str], title: str, entities: Entities
) -> Figure:
    """Return the figure of classes as places in a plane."""
    found = {name: classical_scaling(rdm) for name, rdm in rdms.items()}
    drawing = scaling_figure(
        {name: one[0] for name, one in found.items()},
        {name: one[1] for name, one in found.items()},
        classes,
    )
    caption = (
        "Classical multidimensional scaling: the nearer two classes, the more alike their "
        "patterns. Per cent: share of the squared distances that the plane shows. "
        f"{_shown(len(rdms))}"
    )
    return Figure("mds", drawing, title, caption.strip(), entities)


def _shown(n: int) -> str:
    return f"The first {MOST_PANELS} of {n} regions." if n > MOST_PANELS else ""


def _models(found: TaskRdms, options: RsaOptions) -> Figure:
    panels: dict[str, list[ModelBar]] = {}
    for one in found.regions:
        for (model, given), test in one.tests.items():
            band = (np.nan, np.nan)
            if np.isfinite(test.null).all():
                low, high = np.quantile(test.null, [0.025, 0.975])
                band = (float(low), float(high))
            bar = ModelBar(one.name, test.r, (), (np.nan, np.nan), band, test.p)
            panels.setdefault(model_title(model, given), []).append(bar)
    description = STATISTICS[options.statistic].description
    caption = (
        f"{description} of RDM and model. Grey: 95 % of the orders of the model's classes; stars: "
        "p of the Mantel test, not corrected (* < 0.05, ** < 0.01, *** < 0.001)."
    )
    drawing = model_figure(panels, description)
    return Figure("models", drawing, f"Models, task {found.task}", caption, found.entities)


def sphere_figure(
    test: MapTest,
    voxels: Voxels,
    words: tuple[str, str],
    entities: Entities,
    options: RsaOptions,
    background: NDArray[np.float32] | None,
) -> Figure:
    """Return the map of the similarity of spheres with a model; ``words``: title, and where."""
    title, where = words
    threshold = test.threshold if np.isfinite(test.threshold) and test.threshold > 0 else None
    fading = (
        "Weak values fade out."
        if threshold is None
        else "Values that are not significant (p corrected over voxels above 0.05) fade out."
    )
    description = STATISTICS[options.statistic].description
    drawing = slices(
        test.statistic,
        voxels,
        title,
        background=background,
        label=description,
        threshold=threshold,
    )
    caption = f"{description} of the RDM and the model in {where} around every voxel. {fading}"
    return Figure("rsasearchlight", drawing, title, caption, entities)


def summaries(found: TaskRdms, options: RsaOptions) -> list[Summary]:
    """Return a table of the similarities with models."""
    rows = [
        {
            "Region": one.name,
            "Voxels": one.n_voxels,
            "Model": model_title(model, given),
            STATISTICS[options.statistic].description: round(test.r, 3),
            "p": _rounded(test.p),
            "Smallest p": _rounded(test.smallest_p),
        }
        for one in found.regions
        for (model, given), test in one.tests.items()
    ]
    if not rows:
        return []
    test = next(iter(found.regions[0].tests.values()))
    caption = (
        f"{len(found.classes)} classes: {', '.join(found.classes)}. p: one-tailed Mantel test with "
        f"{'all ' if test.exhaustive else ''}{test.n_permutations:,} orders of the classes; "
        "smallest p: what can be reached, as orders that leave the model as it is count."
    )
    return [Summary(f"Models, task {found.task}", pd.DataFrame(rows), caption)]


def _rounded(p: float) -> float:
    return float(f"{p:.3g}")


def highlights(found: TaskRdms, options: RsaOptions) -> Iterator[str]:
    """Yield the best region of every model, and what the searchlight found."""
    description = STATISTICS[options.statistic].description
    for model in found.models:
        own = [one for one in found.regions if np.isfinite(one.tests[model, "none"].r)]
        if own:
            best = max(own, key=lambda one: one.tests[model, "none"].r)
            test = best.tests[model, "none"]
            yield (
                f"Task {found.task}, model {model}: most similar in {best.name} ({description} "
                f"{test.r:.2f}, p = {test.p:.3g})."
            )
    if found.spheres is not None:
        for model, sphere_test in found.spheres.tests.items():
            yield sphere_sentence(f"task {found.task}, model {model}", sphere_test, options)


def sphere_sentence(what: str, test: MapTest, options: RsaOptions) -> str:
    """Return what a searchlight found."""
    n, largest = int((test.p_fwe <= LEVEL).sum()), float(test.statistic.max())
    return (
        f"RSA searchlight, {what}: {STATISTICS[options.statistic].description} up to "
        f"{largest:.2f}; {n:,} of {len(test.p_fwe):,} voxels with p (FWE) of at most {LEVEL:g}."
    )


def warnings(found: Sequence[TaskRdms]) -> Iterator[str]:
    """Yield what a reader has to know: tests that can show nothing."""
    for task in found:
        for name in task.models:
            tests = [one.tests[name, "none"] for one in task.regions]
            if tests and tests[0].smallest_p > LEVEL:
                yield unreachable(f"task {task.task}, model {name}", tests[0].smallest_p)


def unreachable(what: str, smallest: float) -> str:
    """Return that a test cannot reach the usual level."""
    return (
        f"{what}: the smallest p that permuting the model's classes can reach is {smallest:.3g}, "
        "since there are few orders of them, or many that do not change the model"
    )
