"""Tables of what comes after occlusion: positions, clusters, stability."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bidsface.analysis import Column, Entities, Table
from bidsface_emotion_cnn.after_occlusion import EMBEDDING, VECTORS, Exploration
from bidsface_emotion_cnn.anatomical_names import commonest_names
from bidsface_emotion_cnn.clusters import NOISE

EMBEDDING_COLUMNS: Mapping[str, Column] = {
    "class": Column("Class whose probability drops; a position may be a top one of several"),
    "rank": Column("Rank of the drop among those of the class, from 1"),
    "x_mm": Column("Middle of the box, left to right", units="mm"),
    "y_mm": Column("Middle of the box, back to front", units="mm"),
    "z_mm": Column("Middle of the box, bottom to top", units="mm"),
    "structure": Column("Structure that most voxels of the box lie in"),
    "most_affected": Column("Class with the largest drop at the position"),
    "spatial_umap_1": Column("UMAP of the coordinates, first dimension"),
    "spatial_umap_2": Column("UMAP of the coordinates, second dimension"),
    "umap_1": Column("UMAP of the drops of all classes, first dimension"),
    "umap_2": Column("UMAP of the drops of all classes, second dimension"),
    "pca_1": Column("First principal component of the changes of all classes"),
    "pca_2": Column("Second principal component of the changes of all classes"),
    "valence": Column("Valence of the classes, weighted by their drops (-1 to 1)"),
    "arousal": Column("Arousal of the classes, weighted by their drops (-1 to 1)"),
    "cluster": Column("Cluster of the drops of all classes, from 1; n/a for none"),
}

CLUSTER_COLUMNS: Mapping[str, Column] = {
    "cluster": Column("Number of the cluster, the largest first"),
    "n_positions": Column("Positions in the cluster"),
    "most_affected": Column("Class that is the most affected one at most positions"),
    "share": Column("Share of the positions at which that class is the most affected one"),
    "structures": Column("Commonest structures of the positions, with their shares"),
    "peak_class": Column("Class with the largest drop of the cluster"),
    "peak_drop": Column("That drop of the class's probability"),
    "peak_x_mm": Column("Its position, left to right", units="mm"),
    "peak_y_mm": Column("Its position, back to front", units="mm"),
    "peak_z_mm": Column("Its position, bottom to top", units="mm"),
    "peak_structure": Column("Structure at that position"),
}

STABILITY_COLUMNS: Mapping[str, Column] = {
    "clustered": Column(
        "What was clustered, each time with another seed",
        levels={
            VECTORS: "drops of all classes, by k-means from one start",
            EMBEDDING: "their UMAP, also made anew, by k-means",
        },
    ),
    "n_clusters": Column("Number of clusters"),
    "n_seeds": Column("Number of seeds"),
    "agreement": Column("Adjusted Rand index, mean over pairs of seeds"),
    "agreement_min": Column("Its smallest value over pairs of seeds"),
    "agreement_max": Column("Its largest value over pairs of seeds"),
    "null_mean": Column(
        "Mean agreement for maps of classes that have nothing in common, as smooth as these, whose "
        "top positions and number of clusters were chosen in the same way"
    ),
    "null_max": Column("Largest mean agreement in a set of such maps"),
    "n_sets": Column("Sets of such maps"),
    "p": Column(
        "Share of the sets, the observed one included, that agree as well as this; n/a with fewer "
        "than 19 sets"
    ),
    "n_positions": Column("Number of different positions among the top ones of all classes"),
    "null_positions": Column("Its mean for maps that have nothing in common"),
    "p_positions": Column(
        "Share of the sets, the observed one included, with as few different positions, that is "
        "with classes that share as many; n/a with fewer than 19 sets"
    ),
}


def drop_columns(classes: Sequence[str]) -> dict[str, str]:
    """Return the name of each class's column of drops: letters, digits and underscores."""
    names: dict[str, str] = {}
    for name in classes:
        plain = "drop_" + re.sub(r"\W+", "_", name)
        while plain in names.values():
            plain += "_"
        names[name] = plain
    return names


def embedding_table(explored: Exploration, entities: Entities) -> Table:
    """Return one row per class and top position."""
    found, grid = explored.found, explored.grid
    parts = [
        (name, rank, position)
        for name, top in zip(explored.classes, explored.tops, strict=True)
        for rank, position in enumerate(top, 1)
    ]
    # Rows of the embedding are unique positions.
    rows = np.searchsorted(found.positions, np.array([part[2] for part in parts], dtype=np.intp))
    cluster = explored.clustering.labels[rows]
    frame = pd.DataFrame(
        {
            "class": pd.Series([part[0] for part in parts], dtype=object),
            "rank": np.array([part[1] for part in parts], dtype=np.int64),
            **dict(zip(("x_mm", "y_mm", "z_mm"), found.centres[rows].T, strict=True)),
            "structure": pd.Series([explored.names[row] for row in rows], dtype=object),
            "most_affected": pd.Series(
                [explored.classes[code] for code in found.affected[rows]], dtype=object
            ),
            **_pair("spatial_umap", found.spatial[rows]),
            **_pair("umap", found.functional[rows]),
            **_pair("pca", found.components.scores[rows]),
            **dict(zip(("valence", "arousal"), found.feelings[rows].T, strict=True)),
            "cluster": _numbers(cluster),
        }
    )
    columns = dict(EMBEDDING_COLUMNS)
    for code, (name, column) in enumerate(drop_columns(explored.classes).items()):
        frame[column] = -found.vectors[rows, code]
        columns[column] = _drop_column(name)
    text = (
        f"Positions of a box of {grid.edges[0]} x {grid.edges[1]} x {grid.edges[2]} voxels whose "
        f"occlusion lowers the probability of each class most ({explored.settings.top} per class "
        f"at most), and their embeddings; structures: {explored.names_source}."
    )
    return Table("embedding", frame, columns, entities, text)


def _pair(name: str, points: Any) -> dict[str, Any]:
    return {f"{name}_{number}": column for number, column in enumerate(points.T, 1)}


def _numbers(labels: Any) -> pd.Series:
    """Return clusters counted from 1, missing for noise."""
    numbers = pd.Series(labels + 1, dtype="Int64")
    return numbers.mask(labels == NOISE)


def _drop_column(name: str) -> Column:
    return Column(
        f"Drop of the probability of {name} in its own volumes that are recognized well when the "
        "box is occluded (negative: a rise), mean over participants; not tested"
    )


def cluster_table(explored: Exploration, entities: Entities) -> Table | None:
    """Return one row per cluster of positions; None without clusters."""
    if not explored.clustering.n_clusters:
        return None
    columns = dict(CLUSTER_COLUMNS)
    drops = drop_columns(explored.classes)
    for name, column in drops.items():
        columns[column] = Column(f"Mean drop of the probability of {name} over the positions")
    rows = [_cluster_row(explored, cluster) for cluster in range(explored.clustering.n_clusters)]
    return Table(
        "clusters",
        pd.DataFrame(rows, columns=list(columns)),
        columns,
        entities,
        f"Clusters ({explored.settings.clustering}) of the positions in the table `embedding` by "
        f"the drops of all classes; structures: {explored.names_source}.",
    )


def _cluster_row(explored: Exploration, cluster: int) -> dict[str, Any]:
    found = explored.found
    members = np.flatnonzero(explored.clustering.labels == cluster)
    vectors = found.vectors[members]
    peak, code = np.unravel_index(vectors.argmin(), vectors.shape)
    counts = np.bincount(found.affected[members], minlength=len(explored.classes))
    means = -vectors.mean(axis=0)
    x, y, z = found.centres[members[peak]]
    return {
        "cluster": cluster + 1,
        "n_positions": len(members),
        "most_affected": explored.classes[int(counts.argmax())],
        "share": counts.max() / len(members),
        "structures": commonest_names([explored.names[row] for row in members]),
        "peak_class": explored.classes[int(code)],
        "peak_drop": -vectors[peak, code],
        "peak_x_mm": x,
        "peak_y_mm": y,
        "peak_z_mm": z,
        "peak_structure": explored.names[members[peak]],
        **dict(zip(drop_columns(explored.classes).values(), means, strict=True)),
    }


def stability_table(explored: Exploration, entities: Entities) -> Table | None:
    """Return one row per clustering that was repeated with other seeds; None if none was."""
    rows = []
    sharing = explored.sharing
    for name, one in explored.stability.items():
        least, most = one.range
        null = one.null if len(one.null) else np.array([np.nan])
        rows.append(
            {
                "clustered": name,
                "n_clusters": explored.clustering.n_clusters,
                "n_seeds": _n_seeds(len(one.agreement)),
                "agreement": one.mean,
                "agreement_min": least,
                "agreement_max": most,
                "null_mean": null.mean(),
                "null_max": null.max(),
                "n_sets": len(one.null),
                "p": one.p,
                "n_positions": sharing.n_positions,
                "null_positions": sharing.null.mean() if len(sharing.null) else np.nan,
                "p_positions": sharing.p,
            }
        )
    if not rows:
        return None
    text = "Agreement of clusterings of occluded positions with different seeds."
    return Table("correlations", pd.DataFrame(rows), STABILITY_COLUMNS, entities, text)


def _n_seeds(n_pairs: int) -> int:
    """Return how many seeds make so many pairs."""
    return round((1 + (1 + 8 * n_pairs) ** 0.5) / 2)
