"""Maps, tables and figures of occlusion, and of what comes after it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bidsface.analysis import (
    Column,
    Entities,
    Figure,
    Map,
    ParticipantResults,
    Results,
    Summary,
    Table,
    Voxels,
)
from bidsface.anatomy import Atlas
from bidsface.statistics import fdr, mean_interval
from bidsface_emotion_cnn import occlusion_figures, occlusion_text
from bidsface_emotion_cnn.after_occlusion import Exploration, ExplorationSettings, Repeats, explore
from bidsface_emotion_cnn.embedding import UmapSettings
from bidsface_emotion_cnn.gathering import Cohort
from bidsface_emotion_cnn.group_occlusion import group_occlusion
from bidsface_emotion_cnn.occluding import FLIPS, Occluded
from bidsface_emotion_cnn.occlusion_tables import cluster_table, embedding_table, stability_table
from bidsface_emotion_cnn.options import EmbeddingOptions, EmotionOptions, OcclusionOptions
from bidsface_emotion_cnn.tools import Tools
from bidsface_emotion_cnn.valence_arousal_figure import feelings_figure

STATS = {"integrated-gradients": "integratedgradients", "smooth-grad": "smoothgrad"}
"""``stat`` of the maps of gradients."""

REGION_COLUMNS = {
    "roi_name": Column("Region that was emptied"),
    "class": Column("Class of the volumes"),
    "drop": Column("Mean drop of the class's probability over participants"),
    "ci_low": Column("Lower end of the t-based 95 % confidence interval over participants"),
    "ci_high": Column("Upper end of it"),
    "p": Column("One-tailed p of a drop, by sign flips of participants"),
    "p_fdr": Column("p adjusted by Benjamini and Hochberg over regions and classes"),
    "n": Column("Number of participants who have volumes of the class"),
}


def explored(
    occluded: Occluded,
    cohort: Cohort,
    atlas: Atlas,
    occlusion: OcclusionOptions,
    options: EmbeddingOptions,
    tools: Tools,
) -> Exploration:
    """Name, embed and cluster the positions that matter most."""
    settings = ExplorationSettings(
        top=occlusion.top,
        umap=UmapSettings(options.n_neighbors, options.min_dist),
        coordinates=dict(options.coordinates),
        repeat_vectors=Repeats(options.seeds, 2 * options.seeds),
        repeat_embedding=Repeats(max(2, options.seeds // 2), 2),
    )
    return explore(
        occluded.tested.mean,
        occluded.grid,
        cohort.volumes.classes,
        occluded.grid.inside(cohort.inside),
        atlas,
        tools.seed("embedding"),
        settings,
    )


def occlusion_results(
    occluded: Occluded,
    cohort: Cohort,
    background: NDArray[np.float32] | None,
    options: EmotionOptions,
    tools: Tools,
) -> Results:
    """Return maps of boxes and gradients, the table of regions, and figures of the maps."""
    wanted = options.occlusion
    assert wanted is not None
    methods = " ".join(
        [
            occlusion_text.occlusion_methods(
                occluded.grid, wanted.per_class, wanted.above, wanted.gradients
            ),
            occlusion_text.group_methods(occluded.tested, FLIPS),
        ]
    )
    tables = [region_table(occluded, cohort, tools)] if occluded.region_names else []
    return Results(
        maps=[*_box_maps(occluded, cohort), *_gradient_maps(occluded, cohort)],
        tables=tables,
        figures=_map_figures(occluded, cohort, background),
        summaries=[_region_summary(table.frame) for table in tables],
        methods=methods,
        citations=occlusion_text.citations_of(methods),
        warnings=occluded.chosen.notes,
    )


def class_label(name: str) -> str:
    """Return what of a class's name may stand in a file name."""
    return re.sub("[^0-9a-zA-Z]", "", name)


def _inside(cohort: Cohort) -> Voxels:
    return Voxels(cohort.grid, np.flatnonzero(cohort.inside))


def _box_maps(occluded: Occluded, cohort: Cohort) -> list[Map]:
    tested, voxels = occluded.tested, _inside(cohort)
    maps = []
    for code, name in enumerate(cohort.volumes.classes):
        if not tested.n_participants[code]:
            continue
        entities = {**cohort.entities, "contrast": class_label(name)}
        n = int(tested.n_participants[code])
        what = f"of the probability of {name} where a box is emptied, over {n} participants"
        kinds: list[tuple[str, NDArray[Any], str]] = [
            ("importance", -tested.mean[code], f"Drop {what}")
        ]
        if np.isfinite(tested.p[code]).any():
            kinds += [
                ("t", -tested.t[code], f"t over participants of the drop {what}"),
                ("p", tested.p[code], f"p (one-tailed, sign flips) of the drop {what}"),
                ("pfwe", tested.p_fwe[code], f"p of the drop {what}, corrected by the maximum"),
                ("pfdr", tested.p_fdr[code], f"p of the drop {what}, false discovery rate"),
            ]
        for stat, values, text in kinds:
            spread = occluded.grid.spread(values).ravel()[voxels.index]
            maps.append(Map(stat, spread, voxels, entities, text))
    return maps


def _gradient_maps(occluded: Occluded, cohort: Cohort) -> list[Map]:
    voxels = _inside(cohort)
    return [
        Map(
            STATS[kind],
            values[code].ravel()[voxels.index],
            voxels,
            {**cohort.entities, "contrast": class_label(name)},
            f"{kind} of the output for {name} in its own volumes, mean over participants",
        )
        for kind, values in occluded.gradients.items()
        for code, name in enumerate(cohort.volumes.classes)
        if np.isfinite(values[code]).all()
    ]


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


def _region_summary(frame: pd.DataFrame) -> Summary:
    wide = frame.pivot_table(index="roi_name", columns="class", values="drop", sort=False)
    # Adding 0 turns what was rounded to -0 into 0.
    table = (wide.round(3) + 0.0).rename_axis(None, axis=1).reset_index()
    return Summary(
        "Drop of probability where a region is emptied",
        table.rename(columns={"roi_name": "Region"}),
        "Mean over participants, of the volumes of each class.",
    )


def _map_figures(
    occluded: Occluded, cohort: Cohort, background: NDArray[np.float32] | None
) -> list[Figure]:
    voxels = _inside(cohort)
    return [
        Figure(
            f"occlusion{class_label(name)}",
            occlusion_figures.map_figure(
                occluded.tested.mean[code], occluded.grid, voxels, name, background
            ),
            f"Occlusion, {name}",
            f"Drop of the probability of {name} where a box is emptied, mean over participants.",
            cohort.entities,
        )
        for code, name in enumerate(cohort.volumes.classes)
        if occluded.tested.n_participants[code]
    ]


def exploration_results(found: Exploration, cohort: Cohort) -> Results:
    """Return tables and figures of the positions that matter most."""
    entities = cohort.entities
    tables = [
        embedding_table(found, entities),
        cluster_table(found, entities),
        stability_table(found, {**entities, "contrast": "stability"}),
    ]
    methods = occlusion_text.exploration_methods(found)
    return Results(
        tables=[table for table in tables if table is not None],
        figures=_exploration_figures(found, cohort, entities),
        methods=methods,
        citations=occlusion_text.citations_of(methods),
        highlights=occlusion_text.exploration_highlights(found),
        warnings=found.notes,
    )


def _exploration_figures(found: Exploration, cohort: Cohort, entities: Entities) -> list[Figure]:
    classes = cohort.volumes.classes
    inside = found.grid.inside(cohort.inside)
    figures = [
        Figure(
            "places",
            occlusion_figures.places_figure(found.found, classes, found.grid, inside),
            "Where the positions that matter most lie",
            f"Up to {found.settings.top} positions per class, coloured by the class that loses "
            "most.",
            entities,
        ),
        Figure(
            "embedding",
            occlusion_figures.embedding_figure(found.found, classes, found.clustering),
            "Embeddings of the positions that matter most",
            "By place, and by what they do to all classes.",
            entities,
        ),
        Figure(
            "feelings",
            feelings_figure(found.found, classes, found.coordinates),
            "Valence and arousal of the positions that matter most",
            "Coordinates of the classes, weighted by their drops of probability.",
            entities,
        ),
    ]
    if found.stability:
        figures.append(
            Figure(
                "stability",
                occlusion_figures.stability_figure(found.stability, found.clustering),
                "Do other seeds find the same clusters?",
                "Adjusted Rand index between pairs of seeds, and its mean for maps of classes that "
                "have nothing in common.",
                entities,
            )
        )
    return figures


def atlas_for(
    participants: Sequence[ParticipantResults], occluded: Occluded, options: EmotionOptions
) -> Atlas:
    """Return what names positions; see `bidsface_emotion_cnn.anatomical_names.atlas_of`."""
    from bidsface_emotion_cnn.anatomical_names import atlas_of

    return atlas_of(participants, occluded.grid, options.atlas, options.atlas_labels)
