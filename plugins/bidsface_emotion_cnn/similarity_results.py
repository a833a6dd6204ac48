"""Tables, matrices and figures of the comparison of brain and network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bidsface.analysis import Column, Figure, Matrix, Results, Summary, Table
from bidsface.numerics.dissimilarity import square
from bidsface_emotion_cnn import emotion_text
from bidsface_emotion_cnn.file_labels import file_labels
from bidsface_emotion_cnn.gathering import Cohort
from bidsface_emotion_cnn.network_similarity import Similarity, mean_rdm
from bidsface_emotion_cnn.rsa_figures import rdm_figure

COLUMNS = {
    "roi_name": Column("Region of the brain, or the whole brain"),
    "layer": Column("Layer of the network"),
    "r": Column("Pearson correlation of the dissimilarities of pairs of classes"),
    "p": Column("One-tailed p of the Mantel test"),
    "n_permutations": Column("Orders of the classes that were compared"),
    "exhaustive": Column("Whether these are all orders that there are"),
    "ceiling_low": Column("Noise ceiling, lower end: of participants with the others"),
    "ceiling_high": Column("Noise ceiling, upper end: of participants with all"),
    "n": Column("Number of participants"),
}


def similarity_results(found: Similarity, cohort: Cohort) -> Results:
    """Return everything about the comparison."""
    rows = [
        {
            "roi_name": region,
            "layer": layer,
            "r": test.r,
            "p": test.p,
            "n_permutations": test.n_permutations,
            "exhaustive": test.exhaustive,
            "ceiling_low": found.ceilings[region][0],
            "ceiling_high": found.ceilings[region][1],
            "n": len(found.brain[region]),
        }
        for (region, layer), test in found.tests.items()
    ]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    entities = {**cohort.entities, "contrast": "similarity"}
    text = "Similarity of the classes' dissimilarities in the brain and in the network"
    methods = emotion_text.SIMILARITY
    return Results(
        tables=[Table("scores", frame, COLUMNS, entities, text)] if rows else [],
        matrices=_matrices(found, cohort),
        figures=[_figure(found, cohort)],
        summaries=[_summary(frame)] if rows else [],
        methods=methods,
        citations=emotion_text.citations_of(methods),
    )


def _labelled(rdm: NDArray[np.float64], cohort: Cohort) -> pd.DataFrame:
    classes = list(cohort.volumes.classes)
    return pd.DataFrame(square(rdm), index=classes, columns=classes)


def _matrices(found: Similarity, cohort: Cohort) -> list[Matrix]:
    brain = [
        Matrix(
            _labelled(mean_rdm(rdms), cohort),
            {**cohort.entities, "label": label, "contrast": "brain"},
            f"Dissimilarity (1 - r) of the classes' mean volumes in {region}, mean over "
            "participants",
        )
        for label, (region, rdms) in _labelled_items(found.brain, "region")
    ]
    network = [
        Matrix(
            _labelled(rdm, cohort),
            {**cohort.entities, "label": label, "contrast": "layer"},
            f"Dissimilarity (1 - r) of the classes' mean activations of layer {layer} for held-out "
            "volumes, mean over folds",
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
        "Network: mean activations for held-out volumes; brain: mean volumes, mean over "
        "participants.",
        cohort.entities,
    )


def _summary(frame: pd.DataFrame) -> Summary:
    table = pd.DataFrame(
        {
            "Region": frame["roi_name"],
            "Layer": frame["layer"],
            "r": frame["r"].map("{:.2f}".format),
            "p": frame["p"].map("{:.3f}".format),
            "Noise ceiling": [
                "n/a" if np.isnan(low) else f"{low:.2f} to {high:.2f}"
                for low, high in zip(frame["ceiling_low"], frame["ceiling_high"], strict=True)
            ],
        }
    )
    return Summary("Similarity of brain and network (Mantel test)", table)
