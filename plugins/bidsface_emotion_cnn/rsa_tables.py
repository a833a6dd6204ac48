"""Tables and matrices of the analysis ``rsa``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bidsface.analysis import Column, Entities, Matrix, Table
from bidsface.numerics.dissimilarity import square
from bidsface.numerics.rdm_statistics import STATISTICS
from bidsface.statistics import fdr
from bidsface_emotion_cnn.rsa import RsaOptions

if TYPE_CHECKING:
    from bidsface_emotion_cnn.rsa_group import GroupTask
    from bidsface_emotion_cnn.rsa_participant import TaskRdms

Floats = NDArray[np.float64]

PAIR_COLUMNS: Mapping[str, Column] = {
    "task_name": Column("Task"),
    "roi_name": Column("Region"),
    "class_1": Column("First class of the pair"),
    "class_2": Column("Second class of the pair"),
    "value": Column("Dissimilarity of the patterns of the two classes"),
}

GIVEN = Column(
    "Which other models are given",
    levels={"none": "none: similarity", "others": "all others: partial correlation"},
)

SCORE_COLUMNS: Mapping[str, Column] = {
    "task_name": Column("Task"),
    "roi_name": Column("Region"),
    "model_name": Column("Model RDM"),
    "given": GIVEN,
    "metric": Column(
        "Similarity of RDM and model",
        levels={name: one.description for name, one in STATISTICS.items()},
    ),
    "value": Column("Similarity"),
    "p": Column("One-tailed p of the Mantel test: the model's classes are permuted"),
    "p_fdr": Column("`p` adjusted by Benjamini and Hochberg over the regions of task and model"),
    "p_min": Column("Smallest value that `p` can take"),
    "n_permutations": Column("Orders of the classes that were compared with"),
    "exhaustive": Column("Whether these are all orders, the observed one included"),
    "n_classes": Column("Number of classes"),
    "n_voxels": Column("Number of voxels that vary over samples"),
}

RUN_COLUMNS: Mapping[str, Column] = {
    "task_name": Column("Task"),
    "block": Column("Run"),
    "segment": Column("What the run showed; the same for all participants who saw the same"),
    "repetition_time": Column("Time between the volumes of the run", units="s"),
    "n": Column("Number of volumes that have a label"),
}

GROUP_PAIR_COLUMNS: Mapping[str, Column] = {
    **PAIR_COLUMNS,
    "value": Column("Mean dissimilarity over participants"),
    "sd": Column("Standard deviation over participants"),
    "n": Column("Number of participants"),
}

GROUP_SCORE_COLUMNS: Mapping[str, Column] = {
    **{name: SCORE_COLUMNS[name] for name in ("task_name", "roi_name", "model_name")},
    "given": GIVEN,
    "metric": SCORE_COLUMNS["metric"],
    "value": Column("Mean similarity over participants"),
    "n": Column("Number of participants"),
    "sd": Column("Standard deviation over participants"),
    "ci_low": Column("Lower end of the bootstrap 95 % confidence interval of the mean"),
    "ci_high": Column("Upper end of the bootstrap 95 % confidence interval of the mean"),
    "p": Column(
        "Exact one-tailed Wilcoxon signed-rank test of the participants' similarities against 0"
    ),
    "p_fdr": SCORE_COLUMNS["p_fdr"],
    "p_min": SCORE_COLUMNS["p_min"],
    "p_classes": Column(
        "One-tailed p of the mean similarity, the model's classes being permuted in the same way "
        "for all participants: of other classes, too"
    ),
    "p_classes_fdr": Column("`p_classes` adjusted like `p`"),
    "p_classes_min": Column("Smallest value that `p_classes` can take"),
    "ceiling_low": Column("Lower bound of the noise ceiling"),
    "ceiling_high": Column("Upper bound of the noise ceiling"),
    "n_classes": SCORE_COLUMNS["n_classes"],
}

COMPARISON_COLUMNS: Mapping[str, Column] = {
    "task_name": Column("Task"),
    "roi_name": Column("Region"),
    "model_1": Column("First model"),
    "model_2": Column("Second model"),
    "metric": SCORE_COLUMNS["metric"],
    "value": Column("Mean similarity with the first model less that with the second"),
    "ci_low": Column("Lower end of the bootstrap 95 % confidence interval of the difference"),
    "ci_high": Column("Upper end of the bootstrap 95 % confidence interval of the difference"),
    "p": Column("Exact two-tailed Wilcoxon signed-rank test of the participants' differences"),
    "p_fdr": Column("`p` adjusted by Benjamini and Hochberg over regions and pairs of models"),
    "p_min": Column("Smallest value that `p` can take"),
    "n": Column("Number of participants"),
}


def pair_rows(
    task: str, region: str, classes: Sequence[str], **values: Any
) -> Iterator[dict[str, Any]]:
    """Yield a row per pair of classes; ``values`` hold one number per pair, or one for all."""
    for number, (first, second) in enumerate(combinations(classes, 2)):
        row = {"task_name": task, "roi_name": region, "class_1": first, "class_2": second}
        yield row | {
            name: own[number] if isinstance(own, np.ndarray) else own
            for name, own in values.items()
        }


def dissimilarity_table(found: TaskRdms, options: RsaOptions) -> Table:
    """Return the dissimilarities of a participant, one row per region and pair of classes."""
    rows = [
        row
        for one in found.regions
        for row in pair_rows(found.task, one.name, found.classes, value=one.rdm)
    ]
    frame = pd.DataFrame(rows, columns=list(PAIR_COLUMNS))
    text = f"Dissimilarities ({options.dissimilarity}) of the patterns of classes"
    return Table("dissimilarities", frame, PAIR_COLUMNS, found.entities, text)


def score_table(found: TaskRdms, options: RsaOptions) -> Table:
    """Return the similarity of a participant's RDMs with the models."""
    rows = [
        {
            "task_name": found.task,
            "roi_name": one.name,
            "model_name": model,
            "given": given,
            "metric": options.statistic,
            "value": test.r,
            "p": test.p,
            "p_min": test.smallest_p,
            "n_permutations": test.n_permutations,
            "exhaustive": test.exhaustive,
            "n_classes": len(found.classes),
            "n_voxels": one.n_voxels,
        }
        for one in found.regions
        for (model, given), test in one.tests.items()
    ]
    frame = pd.DataFrame(rows, columns=list(SCORE_COLUMNS))
    text = f"{STATISTICS[options.statistic].description} of RDMs of regions and models"
    return Table(
        "scores", adjusted(frame, ("model_name", "given")), SCORE_COLUMNS, found.entities, text
    )


def runs_of(samples: pd.DataFrame, task: str) -> pd.DataFrame:
    """Return the runs that labelled volumes are of, with the columns of `RUN_COLUMNS`."""
    keys = ["block", "segment", "repetition_time"]
    frame = samples.groupby(keys, sort=False).size().reset_index(name="n")
    return frame.assign(task_name=task)[list(RUN_COLUMNS)]


def run_table(runs: pd.DataFrame, entities: Entities) -> Table:
    """Return the table of the runs that labelled volumes are of."""
    return Table("runs", runs, RUN_COLUMNS, entities, "Runs of the labelled volumes")


def adjusted(
    frame: pd.DataFrame, keys: Sequence[str], names: Sequence[str] = ("p",)
) -> pd.DataFrame:
    """Return a table with p adjusted over the rows that share some columns."""
    for name in names:
        found = np.full(len(frame), np.nan)
        groups = [frame.index]
        if keys:
            groups = [part.index for _, part in frame.groupby(list(keys), sort=False)]
        for rows in groups:
            found[rows] = fdr(frame[name].to_numpy(float)[rows])
        frame[f"{name}_fdr"] = found
    return frame


def matrices(found: TaskRdms, options: RsaOptions) -> Iterator[Matrix]:
    """Yield the RDM of every region of a participant."""
    for one in found.regions:
        text = f"Dissimilarities ({options.dissimilarity}) of classes in {one.name}"
        yield rdm_matrix(one.rdm, found.classes, {**found.entities, "label": one.name}, text)


def rdm_matrix(rdm: Floats, classes: Sequence[str], entities: Entities, text: str) -> Matrix:
    """Return an RDM as a labelled matrix."""
    frame = pd.DataFrame(square(rdm), index=list(classes), columns=list(classes))
    return Matrix(frame, entities, text)


def group_tables(found: GroupTask, options: RsaOptions) -> list[Table]:
    """Return mean dissimilarities, similarities with models, and comparisons of models."""
    pairs = [
        row
        for one in found.regions
        for row in pair_rows(
            found.task,
            one.name,
            found.classes,
            value=one.rdms.mean(axis=0),
            sd=one.rdms.std(axis=0, ddof=1) if len(one.rdms) > 1 else np.nan,
            n=len(one.rdms),
        )
    ]
    frame = pd.DataFrame(pairs, columns=list(GROUP_PAIR_COLUMNS))
    tables = [
        Table(
            "dissimilarities",
            frame,
            GROUP_PAIR_COLUMNS,
            found.entities,
            f"Mean dissimilarities ({options.dissimilarity}) of the patterns of classes",
        )
    ]
    if not found.scores.empty:
        text = "Mean similarity of participants' RDMs and models"
        tables.append(Table("scores", found.scores, GROUP_SCORE_COLUMNS, found.entities, text))
    if not found.comparisons.empty:
        text = "Differences between models in their similarity to participants' RDMs"
        tables.append(
            Table("comparisons", found.comparisons, COMPARISON_COLUMNS, found.entities, text)
        )
    return tables


def group_matrices(found: GroupTask, options: RsaOptions) -> Iterator[Matrix]:
    """Yield the mean RDM of every region."""
    for one in found.regions:
        text = (
            f"Mean dissimilarities ({options.dissimilarity}) of classes in {one.name}, "
            f"{len(one.rdms)} participants"
        )
        entities = {**found.entities, "label": one.name}
        yield rdm_matrix(one.rdms.mean(axis=0), found.classes, entities, text)
