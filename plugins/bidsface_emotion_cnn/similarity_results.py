"""Tables, matrices and figures of the comparison of brain and network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bidsface.analysis import Column, Figure, Matrix, Results, Summary, Table
from bidsface.numerics.dissimilarity import square
from bidsface.statistics import fdr
from bidsface_emotion_cnn import emotion_text
from bidsface_emotion_cnn.class_rdms import mean_rdm
from bidsface_emotion_cnn.file_labels import file_labels
from bidsface_emotion_cnn.gathering import Cohort
from bidsface_emotion_cnn.network_similarity import Similarity
from bidsface_emotion_cnn.rsa_figures import rdm_figure
from bidsface_emotion_cnn.rsa_report import unreachable

LEVEL = 0.05

COLUMNS = {
    "roi_name": Column("Region of the brain, or the whole brain"),
    "layer": Column("Layer of the network"),
    "r": Column(
        "Pearson correlation of the dissimilarities of pairs of classes in the layer, for held-out "
        "runs, and in a participant's brain, of all other runs; mean over participants and runs. "
        "Of the same volumes where there is no p"
    ),
    "p": Column("One-tailed p of the Mantel test; n/a where networks had seen the runs"),
    "p_fdr": Column("`p` adjusted by Benjamini and Hochberg over regions and layers"),
    "p_min": Column("Smallest value that `p` can take"),
    "n_permutations": Column("Orders of the classes that were compared"),
    "exhaustive": Column("Whether these are all orders that there are"),
    "ceiling_low": Column(
        "Noise ceiling, lower end: `r` of the mean of the other participants' brains in the "
        "layer's place"
    ),
    "ceiling_high": Column("Noise ceiling, upper end: the largest `r` that there could be"),
    "n": Column("Number of participants who have all pairs of classes"),
}


def similarity_results(found: Similarity, cohort: Cohort) -> Results:
    """Return everything about the comparison."""
    frame = _scores(found)
    entities = {**cohort.entities, "contrast": "similarity"}
    text = "Similarity of the classes' dissimilarities in the brain and in the network"
    methods = emotion_text.SIMILARITY[found.apart]
    return Results(
        tables=[] if frame.empty else [Table("scores", frame, COLUMNS, entities, text)],
        matrices=_matrices(found, cohort),
        figures=[_figure(found, cohort)],
        summaries=[] if frame.empty else [_summary(frame, found.apart)],
        methods=methods,
        citations=emotion_text.citations_of(methods),
        warnings=[*found.notes, *_warnings(frame, found.apart)],
    )


def _scores(found: Similarity) -> pd.DataFrame:
    rows = [
        {
            "roi_name": one.region,
            "layer": one.layer,
            "r": one.r,
            "p": one.p,
            "p_min": one.p_min,
            "n_permutations": one.n_permutations,
            "exhaustive": one.exhaustive,
            "ceiling_low": one.ceiling[0],
            "ceiling_high": one.ceiling[1],
            "n": one.n,
        }
        for one in found.found
    ]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return frame.assign(p_fdr=fdr(frame["p"].to_numpy(float)))


def _warnings(frame: pd.DataFrame, apart: bool) -> list[str]:
    if not apart:
        return [
            "similarity of brain and network is described and not tested: both come from the same "
            "runs, which makes them alike whatever the network has learned; the scheme `runs` "
            "keeps them apart"
        ]
    smallest = float(frame["p_min"].min()) if len(frame) else 0.0
    return [unreachable("similarity of brain and network", smallest)] if smallest > LEVEL else []


def _labelled(rdm: NDArray[np.float64], cohort: Cohort) -> pd.DataFrame:
    classes = list(cohort.volumes.classes)
    return pd.DataFrame(square(rdm), index=classes, columns=classes)


def _matrices(found: Similarity, cohort: Cohort) -> list[Matrix]:
    brain = [
        Matrix(
            _labelled(mean_rdm(rdms), cohort),
            {**cohort.entities, "label": label, "contrast": "brain"},
            f"Dissimilarity (1 - r) of the classes' mean volumes in {region}, from equally many "
            "volumes of every class, mean over participants",
        )
        for label, (region, rdms) in _labelled_items(found.brain, "region")
    ]
    network = [
        Matrix(
            _labelled(rdm, cohort),
            {**cohort.entities, "label": label, "contrast": "layer"},
            f"Dissimilarity (1 - r) of the classes' mean activations of layer {layer} for held-out "
            "volumes, equally many of every class, mean over folds",
        )
        for label, (layer, rdm) in _labelled_items(found.network, "layer")
    ]
    return [*brain, *network]


def _labelled_items(
    found: Mapping[str, NDArray[np.float64]], otherwise: str
) -> Iterator[tuple[str, tuple[str, NDArray[np.float64]]]]:
    """Yield items with a label for names of files."""
    return zip(file_labels(list(found), otherwise), found.items(), strict=True)


def _figure(found: Similarity, cohort: Cohort) -> Figure:
    panels = {f"network: {layer}": square(rdm) for layer, rdm in found.network.items()}
    panels |= {region: square(mean_rdm(rdms)) for region, rdms in found.brain.items()}
    return Figure(
        "similarity",
        rdm_figure(panels, list(cohort.volumes.classes), "dissimilarity (1 - r)"),
        "Dissimilarity of classes in the network and in the brain",
        "Network: mean activations for held-out volumes, mean over folds; brain: mean volumes of "
        "all runs, mean over participants. Equally many volumes of every class.",
        cohort.entities,
    )


def _summary(frame: pd.DataFrame, apart: bool) -> Summary:
    table = pd.DataFrame(
        {"Region": frame["roi_name"], "Layer": frame["layer"], "r": frame["r"].map("{:.2f}".format)}
    )
    if apart:
        table["p"] = frame["p"].map("{:.3f}".format)
        table["p (FDR)"] = frame["p_fdr"].map("{:.3f}".format)
    table["Noise ceiling"] = [
        "n/a" if np.isnan(low + high) else f"{low:.2f} to {high:.2f}"
        for low, high in zip(frame["ceiling_low"], frame["ceiling_high"], strict=True)
    ]
    if apart:
        return Summary(
            "Similarity of brain and network (Mantel test)",
            table,
            "The network's dissimilarities are those of held-out runs, the brain's those of the "
            "other runs. Noise ceiling: what the brains of the others reach in the network's "
            "place, and what nothing exceeds.",
        )
    return Summary(
        "Similarity of brain and network (not tested)",
        table,
        "The network's dissimilarities and the brain's come from the same runs, which makes them "
        "alike whatever the network has learned.",
    )
