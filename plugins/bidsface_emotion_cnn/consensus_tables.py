"""Tables of ``consensus``: agreement by emotion, the labels of the film, pairs of observers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bidsface.analysis import Column, Entities, Matrix, Table
from bidsface_emotion_cnn.agreement import Agreement, observer_pairs
from bidsface_emotion_cnn.consensus import NONE, Codes, Floats
from bidsface_emotion_cnn.consensus_participant import LABEL_COLUMNS
from bidsface_emotion_cnn.film_labels import FilmLabels, segment_edges
from bidsface_emotion_cnn.label_options import LabelOptions
from bidsface_emotion_cnn.segments import centres, locate

WHOLE = ("volumes", "leading", "kept", "used")
"""Columns of whole numbers that some rows lack."""

SCOPES = {
    "presence": "any emotion against none: every observer has a label in every volume",
    "all": "all emotions together; where an observer noted none, the label is missing",
    "emotion": "one emotion against the others; where an observer noted none, it is missing",
}

AGREEMENT_COLUMNS: Mapping[str, Column] = {
    "scope": Column("What observers agree on", levels=SCOPES),
    "trial_type": Column("Emotion, where the row is of one"),
    "alpha": Column(
        "Krippendorff's alpha for nominal labels: 1 for perfect agreement, 0 for that of chance"
    ),
    "ci_low": Column("Lower end of its interval"),
    "ci_high": Column("Upper end of its interval"),
    "observed": Column(
        "Share of pairs of observers' labels that are equal; of an emotion: where one observer "
        "noted it, how often another one did too"
    ),
    "volumes": Column("Volumes of the film in which an observer noted it"),
    "leading": Column("Volumes of the film in which it is the most frequent emotion"),
    "kept": Column("Of these, volumes that enough observers agree on"),
    "used": Column("Of these, volumes that are left by the options on classes and their size"),
    "labelled": Column("Volumes that have this label, on average over participants"),
    "n": Column("Volumes of the film with at least two labels"),
    "valence": Column("Mean valence in the volumes kept, -1 to 1 for words"),
    "arousal": Column("Mean arousal in the volumes kept, -1 to 1 for words"),
}

FILM_COLUMNS: Mapping[str, Column] = {
    **{
        name: LABEL_COLUMNS[name]
        for name in ("film_volume", "film_time", "label_duration", "trial_type")
    },
    **{name: LABEL_COLUMNS[name] for name in ("votes", "voters", "n_observers", "votes_share")},
    "kept": Column("Whether enough observers agree"),
    "used": Column("Whether it is kept, and of an emotion that the options keep"),
    "segment": LABEL_COLUMNS["segment"],
    "volume_index": Column(
        "Volume of that run in which the response is measured, were its repetition time that of "
        "the film's volumes"
    ),
    "valence": LABEL_COLUMNS["valence"],
    "arousal": LABEL_COLUMNS["arousal"],
}


@dataclass(frozen=True, eq=False)
class Measured:
    """The labels of the film and the agreement on them.

    Attributes
    ----------
    film : FilmLabels
    emotions : Agreement
        On all emotions and on each.
    presence : Agreement
        On whether there is any emotion.
    """

    film: FilmLabels
    emotions: Agreement
    presence: Agreement


def agreement_table(measured: Measured, labels: pd.DataFrame, entities: Entities) -> Table:
    """Return agreement and numbers of volumes, over all emotions and by emotion.

    Parameters
    ----------
    measured : Measured
    labels : DataFrame
        Tables of labels of all participants, with ``participant_id``.
    entities : mapping
    """
    film = measured.film
    found = film.found
    per_person = labels["trial_type"].value_counts() / labels["participant_id"].nunique()
    noted = (film.codes != NONE).any(axis=0)
    totals = {
        "volumes": int(noted.sum()),
        "leading": int((found.leading != NONE).sum()),
        "kept": int((found.labels != NONE).sum()),
        "used": int((film.used != NONE).sum()),
        "labelled": float(per_person.sum()),
    }
    rows = [
        {"scope": "presence", "trial_type": np.nan, **_values(measured.presence, 0)},
        {"scope": "all", "trial_type": np.nan, **_values(measured.emotions, 0), **totals},
    ]
    leading, kept, used = (film.count(codes) for codes in (found.leading, found.labels, film.used))
    for code in class_order(film):
        name = film.classes[code]
        row = {
            "scope": "emotion",
            "trial_type": name,
            **_values(measured.emotions, code + 1),
            "volumes": int((film.codes == code).any(axis=0).sum()),
            "leading": int(leading[code]),
            "kept": int(kept[code]),
            "used": int(used[code]),
            "labelled": float(per_person.get(name, 0.0)),
        }
        rows.append(row | _ratings(film, found.labels == code))
    frame = pd.DataFrame(rows).astype(dict.fromkeys(WHOLE, "Int64"))
    columns = {name: column for name, column in AGREEMENT_COLUMNS.items() if name in frame}
    description = f"Agreement of {len(film.observers)} observers, by emotion"
    return Table("agreement", frame[list(columns)], columns, entities, description)


def class_order(film: FilmLabels) -> Codes:
    """Return the classes by how many volumes are kept, then by how many they lead."""
    kept, leading = film.count(film.found.labels), film.count(film.found.leading)
    return np.lexsort((np.arange(len(kept)), -leading, -kept))


def _values(agreement: Agreement, place: int) -> dict[str, Any]:
    return {
        "alpha": agreement.alpha[place],
        "ci_low": agreement.low[place],
        "ci_high": agreement.high[place],
        "observed": agreement.observed[place],
        "n": agreement.n_units,
    }


def _ratings(film: FilmLabels, volumes: np.ndarray) -> dict[str, float]:
    return {
        name: _mean(values[volumes])
        for name, values in (("valence", film.valence), ("arousal", film.arousal))
        if values is not None
    }


def _mean(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def film_table(film: FilmLabels, options: LabelOptions, entities: Entities) -> Table:
    """Return the volumes of the film in which anybody noted anything."""
    volumes = np.flatnonzero(film.found.leading != NONE)
    found, step = film.found, film.repetition_time
    frame = pd.DataFrame(
        {
            "film_volume": volumes,
            "film_time": volumes * step,
            "label_duration": step,
            "trial_type": np.array(film.classes)[found.leading[volumes]],
            "votes": found.votes[volumes],
            "voters": found.voters[volumes],
            "n_observers": len(film.observers),
            "votes_share": found.votes[volumes] / len(film.observers),
            "kept": found.labels[volumes] != NONE,
            "used": film.used[volumes] != NONE,
            **_places(film, volumes, options),
        }
    )
    for name, values in (("valence", film.valence), ("arousal", film.arousal)):
        if values is not None:
            frame[name] = values[volumes]
    columns = {name: column for name, column in FILM_COLUMNS.items() if name in frame}
    text_ = "Emotions that most observers noted, by volume of the film"
    return Table("labels", frame[list(columns)], columns, entities, text_)


def _places(
    film: FilmLabels, volumes: Codes, options: LabelOptions
) -> dict[str, pd.Series | Codes]:
    """Return in which run, and when, the volumes of the film are seen."""
    if not options.segments:
        return {}
    starts, ends = segment_edges(options)
    times = centres(len(film.used), film.repetition_time)[volumes]
    segments, places = locate(times, starts, ends, film.repetition_time, options.shift)
    names = pd.Series([*options.segment_names, None], dtype=object)
    outside = segments == NONE
    return {
        "segment": pd.Series(names.to_numpy()[segments]),
        "volume_index": pd.Series(places, dtype="Int64").mask(outside),
    }


def pair_matrix(film: FilmLabels, entities: Entities) -> Matrix:
    """Return how often every two observers noted the same."""
    frame = pd.DataFrame(observer_pairs(film.codes), index=film.observers, columns=film.observers)
    text_ = "Share of volumes for which two observers, who both noted an emotion, noted the same"
    return Matrix(frame, entities, text_)
