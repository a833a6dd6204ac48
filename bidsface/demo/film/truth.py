"""The truth about a film study, written beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bidsface.demo.anatomy import Anatomy
from bidsface.demo.film.consensus import consensus
from bidsface.demo.film.design import EMOTIONS, OVERLAP, REPETITION_TIME, TASK, FilmDesign
from bidsface.demo.film.patterns import PLACES, RADIUS_MM, FilmMaps
from bidsface.demo.film.simulation import SCENE, SHOT, WANDERING, Viewer, planted_emotions
from bidsface.demo.film.text import TRUTH_README
from bidsface.demo.film.timeline import Film
from bidsface.demo.images import write_image, write_json, write_table
from bidsface.demo.simulation import NOISE_SHARE, RunSummary
from bidsface.demo.study_folder import writer_of

STUDY = "film"
STEP = 1e-4
"""Difference between neighbouring stored values of a pattern."""


@dataclass(frozen=True)
class ViewerTruth:
    """What is true of one participant.

    Attributes
    ----------
    label : str
    participant : dict
        Row of `participants.tsv`.
    evoked : DataFrame
        Rows of `evoked.tsv`.
    """

    label: str
    participant: dict[str, Any]
    evoked: pd.DataFrame


def viewer_truth(
    design: FilmDesign, film: Film, viewer: Viewer, runs: Sequence[RunSummary]
) -> ViewerTruth:
    """Collect what was planted in a participant."""
    name = f"sub-{viewer.label}"
    row = {
        "participant_id": name,
        **{
            f"sensitivity_{emotion}": float(gain)
            for emotion, gain in zip(EMOTIONS, viewer.sensitivity, strict=True)
        },
        "attention": viewer.attention,
        "framewise_displacement_mm": float(np.mean([run.mean_fd for run in runs])),
        "noise_sd": float(np.mean([run.noise_sd.mean() for run in runs])),
    }
    names = list(EMOTIONS)
    tables = []
    for number, start in enumerate(design.starts, start=1):
        evoked = planted_emotions(design, film, viewer.label, number)
        begin, end = (volume * REPETITION_TIME for volume in (start, start + design.volumes))
        rows = [
            (name, number, index + 1, names[evoked[index]])
            for index, episode in enumerate(film.episodes)
            if episode.end > begin and episode.start < end
        ]
        columns = ["participant_id", "run_index", "episode", "emotion"]
        tables.append(pd.DataFrame(rows, columns=columns))
    return ViewerTruth(viewer.label, row, pd.concat(tables))


def write_truth(
    folder: Path,
    design: FilmDesign,
    anatomy: Anatomy,
    film: Film,
    maps: FilmMaps,
    annotations: Sequence[pd.DataFrame],
    truths: Sequence[ViewerTruth],
) -> None:
    """Write `truth.json`, the maps, the tables, and a text that explains them."""
    write_table(
        folder / "participants.tsv", pd.DataFrame([t.participant for t in truths]), digits=5
    )
    write_table(folder / "evoked.tsv", pd.concat([truth.evoked for truth in truths]))
    write_table(folder / "episodes.tsv", _episodes(film))
    write_table(folder / "spans.tsv", _spans(film))
    volumes = _volumes(design, film, annotations)
    write_table(folder / "volumes.tsv", volumes)
    _write_maps(folder, anatomy, maps)
    (folder / "README.md").write_text(TRUTH_README, encoding="utf-8")
    write_json(folder / "truth.json", _summary(design, anatomy, maps, volumes))


def _episodes(film: Film) -> pd.DataFrame:
    table = pd.DataFrame([vars(episode) for episode in film.episodes])
    table.insert(0, "episode", np.arange(len(table)) + 1)
    return table


def _spans(film: Film) -> pd.DataFrame:
    kinds = {"scene": film.scenes, "shot": film.shots}
    rows = [(kind, *span) for kind, spans in kinds.items() for span in spans.round(3)]
    return pd.DataFrame(rows, columns=["kind", "start", "end"])


def _volumes(design: FilmDesign, film: Film, annotations: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return what is portrayed in every volume of the film, and what observers agree about."""
    notes = [
        list(zip(table["start"], table["end"], table["emotion"], strict=True))
        for table in annotations
    ]
    emotions, votes = consensus(notes, design.film_volumes, REPETITION_TIME, design.majority)
    times = np.arange(design.film_volumes) * REPETITION_TIME
    return pd.DataFrame(
        {
            "film_volume": np.arange(design.film_volumes),
            "film_time": times,
            "portrayed": [film.emotion_at(time + REPETITION_TIME / 2) for time in times],
            "consensus": emotions,
            "observers": votes,
        }
    )


def _write_maps(folder: Path, anatomy: Anatomy, maps: FilmMaps) -> None:
    for emotion, places, pattern in zip(EMOTIONS, maps.places, maps.patterns, strict=True):
        mask = np.zeros(anatomy.brain.shape, dtype=np.uint8)
        mask[anatomy.brain] = places
        write_image(folder / f"{emotion}_mask.nii.gz", mask, anatomy.affine)
        volume = np.zeros(anatomy.brain.shape, dtype=np.float32)
        volume[anatomy.brain] = pattern
        write_image(folder / f"{emotion}_pattern.nii.gz", volume, anatomy.affine, step=STEP)


def _summary(
    design: FilmDesign, anatomy: Anatomy, maps: FilmMaps, volumes: pd.DataFrame
) -> dict[str, Any]:
    counts = Counter(volumes["consensus"].dropna())
    return {
        "generated_by": writer_of(STUDY),
        "design": design.as_dict(),
        "task": TASK,
        "labels_shuffled": design.shuffled,
        "film": {
            "repetition_time": REPETITION_TIME,
            "volumes": design.film_volumes,
            "length": design.length,
            "overlap_volumes": OVERLAP,
            "segments": [
                {"run": number, "film_onset": start * REPETITION_TIME, "first_volume": start}
                for number, start in enumerate(design.starts, start=1)
            ],
        },
        "consensus": {
            "observers_needed": design.majority,
            "volumes": {emotion: counts[emotion] for emotion in EMOTIONS},
            "others": {name: counts[name] for name in sorted(set(counts) - set(EMOTIONS))},
        },
        "emotions": _places(anatomy, maps),
        "strengths": {
            "emotion": design.strength,
            "scene": SCENE,
            "shot": SHOT,
            "wandering": WANDERING,
        },
        "units": {
            "strengths": "standard deviations of the white-spectrum noise, "
            f"{NOISE_SHARE:.0%} of a voxel's baseline: of an emotion's pattern the mean over its "
            "places, of the others the standard deviation over the brain; at the peak of a "
            "response to 12 s or more",
            "centre_mm": "MNI152NLin2009cAsym, mm",
            "times": "film time, s",
        },
    }


def _places(anatomy: Anatomy, maps: FilmMaps) -> Mapping[str, Any]:
    return {
        emotion: {
            "mask": f"{emotion}_mask.nii.gz",
            "pattern": f"{emotion}_pattern.nii.gz",
            "voxels": int(places.sum()),
            "places": [
                {
                    "name": name,
                    "centre_mm": list(centre),
                    "radius_mm": RADIUS_MM,
                    "radius_voxels": round(RADIUS_MM / anatomy.voxel_size, 3),
                }
                for name, centre in PLACES[emotion]
            ],
        }
        for emotion, places in zip(EMOTIONS, maps.places, strict=True)
    }
