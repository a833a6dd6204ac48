"""The group level of ``consensus``: how well the observers of the film agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from bidsface.analysis import Entities, Figure, ParticipantResults, Results, Summary
from bidsface.entities import shared
from bidsface_emotion_cnn import consensus_tables as tables
from bidsface_emotion_cnn import consensus_text as text
from bidsface_emotion_cnn.agreement import measure_agreement
from bidsface_emotion_cnn.consensus import NONE
from bidsface_emotion_cnn.consensus_analysis import ConsensusOptions
from bidsface_emotion_cnn.consensus_figures import (
    COLOURS,
    Strip,
    count_figure,
    timeline_figure,
)
from bidsface_emotion_cnn.consensus_tables import Measured, class_order
from bidsface_emotion_cnn.film_labels import FilmLabels, film_labels
from bidsface_emotion_cnn.label_options import needed_votes
from bidsface_emotion_cnn.volume_labels import read_label_sources

FEW_BLOCKS = 20
"""With fewer parts of the film to resample, intervals are too narrow."""


def measure_group(
    participants: Sequence[ParticipantResults],
    options: ConsensusOptions,
    seed: np.random.SeedSequence,
    bids_dir: Path | None = None,
) -> Results:
    """Measure how well observers agree, and count what is left of the film.

    The observers' tables are read again: what they agree on is the same for all participants.

    Parameters
    ----------
    participants : sequence of ParticipantResults
    options : ConsensusOptions
    seed : SeedSequence
        Of the resampling.
    bids_dir : Path or None
        Where the observers' tables may lie.

    Raises
    ------
    InputError
        If an observer's table cannot be used.
    """
    labelled = [one for one in participants if len(one.table("labels"))]
    if not labelled:
        return Results(warnings=["no participant has labelled volumes"])
    frames = [one.table("labels").assign(participant_id=one.label) for one in labelled]
    labels = pd.concat(frames, ignore_index=True)
    step, notes = _label_duration(labels)
    film = film_labels(read_label_sources(options.labels, bids_dir), options.labels, step)
    measured = _measure(film, options, seed)
    entities = shared(
        [item.entities for one in labelled for item in one.tables if item.suffix == "labels"],
        ("sub", "desc"),
    )
    agreement = tables.agreement_table(measured, labels, entities)
    methods = text.group_methods(options, film)
    return Results(
        tables=[agreement, tables.film_table(film, options.labels, entities)],
        matrices=[tables.pair_matrix(film, entities)],
        figures=_figures(measured, options, entities),
        summaries=[_summary(agreement.frame)],
        methods=methods,
        citations=text.citations_of(methods),
        highlights=_highlights(measured, options),
        warnings=[*notes, *_warnings(measured, options)],
    )


def _label_duration(labels: pd.DataFrame) -> tuple[float, list[str]]:
    """Return the length of the film's volumes, the most frequent one if participants differ."""
    counts = Counter(labels["label_duration"].tolist())
    step = counts.most_common(1)[0][0]
    if len(counts) == 1:
        return step, []
    lengths = ", ".join(f"{value:g}" for value in sorted(counts))
    return step, [
        f"runs differ in repetition time ({lengths} s); agreement is that in volumes of {step:g} s"
    ]


def _measure(film: FilmLabels, options: ConsensusOptions, seed: np.random.SeedSequence) -> Measured:
    measure = partial(
        measure_agreement,
        block=max(1, round(options.block / film.repetition_time)),
        resamples=options.bootstraps,
        level=options.confidence,
        seed=seed,
    )
    noted = (film.codes != NONE).astype(np.int64)
    return Measured(film, measure(film.codes, len(film.classes)), measure(noted, 2))


def _figures(measured: Measured, options: ConsensusOptions, entities: Entities) -> list[Figure]:
    film = measured.film
    order = class_order(film)
    kept, leading = film.count(film.found.labels), film.count(film.found.leading)
    shown = [code for code in order if kept[code]] or [code for code in order if leading[code]]
    shown = shown[: len(COLOURS)]
    names = [film.classes[code] for code in shown]
    # Classes in the order of the figure; those that are not shown come last, and are grey.
    places = np.full(len(film.classes) + 1, len(shown))
    places[shown] = np.arange(len(shown))
    places[-1] = NONE
    rows = [*zip(film.observers, film.codes, strict=True), ("consensus", film.found.labels)]
    strips = [Strip(name, places[codes], film.repetition_time) for name, codes in rows]
    emotions = measured.emotions
    per_class = [values[1:][shown] for values in (emotions.alpha, emotions.low, emotions.high)]
    votes = needed_votes(options.labels, len(film.observers))
    level = f"{100 * options.confidence:g} %"
    return [
        Figure(
            "timeline",
            timeline_figure(strips, names, "time in the film (s)"),
            "What observers noted, and what they agree on",
            "Every line is an observer, the last one the consensus: the emotion that at least "
            f"{votes} of {len(film.observers)} noted. White: none.",
            entities,
        ),
        Figure(
            "counts",
            count_figure(names, leading[shown], kept[shown], *per_class),
            "Volumes and agreement by emotion",
            "Left: volumes of the film in which the emotion is the most frequent one (white), and "
            f"those in which at least {votes} of {len(film.observers)} observers noted it "
            f"(coloured). Right: Krippendorff's alpha and its {level} interval.",
            entities,
        ),
    ]


def _summary(agreement: pd.DataFrame) -> Summary:
    rows = agreement[(agreement["scope"] != "emotion") | (agreement["kept"] > 0)]
    names = {"presence": "(any emotion or none)", "all": "(all emotions)"}
    shown = pd.DataFrame(
        {
            "Emotion": rows["trial_type"].fillna(rows["scope"].map(names)),
            "Alpha": rows["alpha"].round(2),
            "from": rows["ci_low"].round(2),
            "to": rows["ci_high"].round(2),
            "Equal pairs": rows["observed"].round(2),
            "Most frequent in": rows["leading"].astype("Int64"),
            "Enough votes in": rows["kept"].astype("Int64"),
            "Labelled per participant": rows["labelled"].round(1),
        }
    )
    return Summary(
        "Agreement of the observers",
        shown.reset_index(drop=True),
        "Numbers of volumes; alpha is Krippendorff's, of an emotion against the others.",
    )


def _highlights(measured: Measured, options: ConsensusOptions) -> list[str]:
    film, emotions = measured.film, measured.emotions
    kept, n_volumes = int((film.found.labels != NONE).sum()), len(film.used)
    votes = needed_votes(options.labels, len(film.observers))
    sentences = [
        f"In {kept:,} of {n_volumes:,} volumes of the film ({100 * kept / n_volumes:.0f} %) at "
        f"least {votes} of {len(film.observers)} observers noted the same emotion."
    ]
    if np.isfinite(emotions.alpha[0]):
        ends = f" [{emotions.low[0]:.2f}, {emotions.high[0]:.2f}]"
        interval = ends if np.isfinite(emotions.low[0]) else ""
        sentences.append(
            f"Krippendorff's alpha of the observers' emotions is {emotions.alpha[0]:.2f}{interval}."
        )
    return sentences


def _warnings(measured: Measured, options: ConsensusOptions) -> list[str]:
    film, notes = measured.film, []
    if not (film.found.labels != NONE).any():
        notes.append("there is no volume of the film that enough observers agree on")
    outside = int(((film.used != NONE) & (film.segments == NONE)).sum())
    if outside:
        notes.append(f"{outside} labelled volumes of the film are in no segment")
    if options.bootstraps and measured.emotions.n_blocks < FEW_BLOCKS:
        notes.append(
            f"the film has {measured.emotions.n_blocks} parts of {options.block:g} s to resample: "
            "intervals are too narrow"
        )
    return notes
