"""Results of every kind, small, for tests of what is written."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from matplotlib.figure import Figure as Drawing

from bidsface.analysis import (
    Column,
    Figure,
    Grid,
    Map,
    Matrix,
    Model,
    Parcellation,
    Region,
    Results,
    Summary,
    Table,
    View,
    Voxels,
)
from bidsface.derivatives import Provenance, Unit

BIBTEX = "@article{key2020, author={A, B}, title={T}, year={2020}, journal={J}, doi={10.1/x}}"

COLUMNS = {
    "roi_name": Column("Region"),
    "fold": Column("Fold, or `mean`", levels={"mean": "average over folds"}),
    "run_index": Column("Run"),
    "value": Column("Score", units="1"),
    "p": Column("p"),
    "n": Column("Number of samples"),
    "significant": Column("p below 0.05"),
}


def example_grid(space: str | None = "MNI152NLin2009cAsym", resolution: str | None = "2") -> Grid:
    """Return a grid of 4 x 5 x 6 voxels of 3 mm."""
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    affine[:3, 3] = (-6, -7, -8)
    return Grid((4, 5, 6), affine, space, resolution)


def example_voxels(grid: Grid | None = None) -> Voxels:
    """Return 30 voxels."""
    return Voxels(grid or example_grid(), np.arange(10, 70, 2))


def example_table() -> Table:
    """Return a table with every type of column and missing values."""
    frame = pd.DataFrame(
        {
            "roi_name": ["A", "B", None],
            "fold": ["1", "mean", "n/a"],
            "run_index": ["1", "2", "03"],
            "value": [0.1 + 0.2, np.nan, 1e-300],
            "p": np.array([0.1, 0.2, np.nan], dtype=np.float32),
            "n": [1, 2, 2**53 + 1],
            "significant": [True, False, True],
        }
    )
    return Table("scores", frame, COLUMNS, {"task": "display"}, "Scores of a test")


def example_results(seed: int = 0, space: str | None = "MNI152NLin2009cAsym") -> Results:
    """Return results of every kind."""
    random = np.random.default_rng(seed)
    voxels = example_voxels(example_grid(space, "2" if space else None))
    where = {"task": "display", "label": "A"}
    regions = [
        Region("A", np.arange(10), "Region A"),
        Region("B", np.arange(5, 30), "Region B, which overlaps A"),
    ]
    drawing = Drawing(figsize=(2, 1))
    drawing.subplots().plot(random.normal(size=5))
    matrix = pd.DataFrame(
        random.normal(size=(2, 2)), index=["joy", "session"], columns=["joy", "session"]
    )
    return Results(
        maps=[
            Map("z", random.normal(size=30), voxels, where, "A z map"),
            Map(
                "weight",
                random.normal(size=(30, 2)),
                voxels,
                {**where, "contrast": "joyVsRest", "ses": "a", "run": "01"},
                "Two volumes",
                volumes=("joy", "anger"),
                units="arbitrary",
            ),
        ],
        parcellations=[Parcellation(voxels, regions)],
        tables=[
            example_table(),
            replace(example_table(), suffix="predictions", entities={"ses": "a", **where}),
        ],
        matrices=[Matrix(matrix, {**where, "contrast": "byRidge"}, "Confusions")],
        models=[Model({"coef": random.normal(size=3)}, {"classes": ["joy"]}, where, "A model")],
        figures=[Figure("accuracy", drawing, "Accuracy", "By region", {"task": "display"})],
        views=[View("weights", "<!doctype html>", "Weights", "To click", {"task": "display"})],
        summaries=[
            Summary("Runs", pd.DataFrame({"task": ["display"], "mean": [np.nan], "n": [3]}))
        ],
        methods="We decoded [@key2020].",
        citations={"key2020": BIBTEX},
        highlights=["Joy was found."],
        warnings=["One run was short."],
    )


def example_unit(label: str | None = "01", analysis: str = "within", print_: str = "f1") -> Unit:
    """Return a unit of a participant, or of the group for None."""
    return Unit("group" if label is None else "participant", analysis, label, print_)


def example_provenance(label: str = "01") -> Provenance:
    """Return the provenance of a unit."""
    bold = (
        f"bids:fmriprep:sub-{label}/func/sub-{label}_task-display_"
        "space-MNI152NLin2009cAsym_desc-preproc_bold.nii.gz"
    )
    return Provenance(
        sources=(bold,),
        options={"estimator": "ridge", "alphas": [1.0, 2.0]},
        seed=7,
        versions={"bidsface": "0", "numpy": np.__version__},
        worker="host:1",
        inputs={bold: "10:20"},
    )
