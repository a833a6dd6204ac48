"""Maps, tables and figures of occlusion, and of what comes after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bidsface.analysis import (
    Entities,
    Figure,
    Map,
    ParticipantResults,
    Results,
    Voxels,
)
from bidsface.anatomy import Atlas
from bidsface_emotion_cnn import occlusion_figures, occlusion_text
from bidsface_emotion_cnn.after_occlusion import Exploration, ExplorationSettings, Repeats, explore
from bidsface_emotion_cnn.embedding import UmapSettings
from bidsface_emotion_cnn.file_labels import file_labels
from bidsface_emotion_cnn.gathering import Cohort
from bidsface_emotion_cnn.occluding import FLIPS, Occluded
from bidsface_emotion_cnn.occlusion_regions import region_summary, region_table
from bidsface_emotion_cnn.occlusion_tables import cluster_table, embedding_table, stability_table
from bidsface_emotion_cnn.options import EmbeddingOptions, EmotionOptions, OcclusionOptions
from bidsface_emotion_cnn.tools import Tools
from bidsface_emotion_cnn.valence_arousal_figure import feelings_figure

STATS = {"integrated-gradients": "integratedgradients", "smooth-grad": "smoothgrad"}
"""``stat`` of the maps of gradients."""


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
        occluded.importance,
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
            occlusion_text.group_methods(
                occluded.n_shown, occluded.tested, wanted.per_class, FLIPS
            ),
        ]
    )
    tables = [region_table(occluded, cohort, tools)] if occluded.region_names else []
    return Results(
        maps=[*_box_maps(occluded, cohort), *_gradient_maps(occluded, cohort)],
        tables=tables,
        figures=_map_figures(occluded, cohort, background),
        summaries=[region_summary(table.frame) for table in tables],
        methods=methods,
        citations=occlusion_text.citations_of(methods),
        warnings=occluded.drawn.notes,
    )


def _inside(cohort: Cohort) -> Voxels:
    return Voxels(cohort.grid, np.flatnonzero(cohort.inside))


def _contrasts(cohort: Cohort) -> list[Entities]:
    """Return what the names of every class's maps have in common."""
    labels = file_labels(cohort.volumes.classes)
    return [{**cohort.entities, "contrast": label} for label in labels]


def _box_maps(occluded: Occluded, cohort: Cohort) -> list[Map]:
    tested, voxels, contrasts = occluded.tested, _inside(cohort), _contrasts(cohort)
    maps = []
    for code, name in enumerate(cohort.volumes.classes):
        what = f"of the probability of {name} where a box is emptied"
        shown = f"{what}, mean over {_people(occluded.n_shown[code])}, in volumes that are"
        drawn = f"{what}, over {_people(tested.n_participants[code])}, in volumes drawn whatever"
        recognized, anyhow = f"{shown} recognized well", f"{drawn} the network says of them"
        kinds: list[tuple[str, NDArray[Any], str]] = []
        if occluded.n_shown[code]:
            kinds.append(("importance", -occluded.importance[code], f"Drop {recognized}"))
        if np.isfinite(tested.p[code]).any():
            kinds += [
                ("t", -tested.t[code], f"t of the drop {anyhow}"),
                ("p", tested.p[code], f"p (one-tailed, sign flips) of the drop {anyhow}"),
                ("pfwe", tested.p_fwe[code], f"p, corrected by the maximum, of the drop {anyhow}"),
                ("pfdr", tested.p_fdr[code], f"p, false discovery rate, of the drop {anyhow}"),
            ]
        for stat, values, text in kinds:
            spread = occluded.grid.spread(values).ravel()[voxels.index]
            maps.append(Map(stat, spread, voxels, contrasts[code], text))
    return maps


def _people(n: int) -> str:
    return f"{n} participant{'' if n == 1 else 's'}"


def _gradient_maps(occluded: Occluded, cohort: Cohort) -> list[Map]:
    voxels, contrasts = _inside(cohort), _contrasts(cohort)
    return [
        Map(
            STATS[kind],
            values[code].ravel()[voxels.index],
            voxels,
            contrasts[code],
            f"{kind} of the output for {name} in its own volumes that are recognized well, mean "
            "over participants",
        )
        for kind, values in occluded.gradients.items()
        for code, name in enumerate(cohort.volumes.classes)
        if np.isfinite(values[code]).all()
    ]


def _map_figures(
    occluded: Occluded, cohort: Cohort, background: NDArray[np.float32] | None
) -> list[Figure]:
    voxels, labels = _inside(cohort), file_labels(cohort.volumes.classes)
    return [
        Figure(
            f"occlusion{labels[code]}",
            occlusion_figures.map_figure(
                occluded.importance[code], occluded.grid, voxels, name, background
            ),
            f"Occlusion, {name}",
            f"Drop of the probability of {name} where a box is emptied, mean over participants, in "
            "volumes that are recognized well.",
            cohort.entities,
        )
        for code, name in enumerate(cohort.volumes.classes)
        if occluded.n_shown[code]
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
