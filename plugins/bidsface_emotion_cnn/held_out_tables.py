"""Tables of held-out predictions, and confusion matrices."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from bidsface.analysis import Column, Entities, Matrix, Table
from bidsface_emotion_cnn.evaluation_tables import SCHEME, Evaluated

PREDICTION_COLUMNS: Mapping[str, Column] = {
    "participant_label": Column("Participant"),
    "run_index": Column("Run, or film segment, of the volume"),
    "time": Column("Time of the volume within its run", units="s"),
    "estimator": Column("Network, or baseline"),
    "scheme": SCHEME,
    "fold": Column("What was held out when the volume was predicted"),
    "class": Column("True class: the emotion that observers saw"),
    "predicted": Column("Most probable class"),
}


def variant(item: Evaluated) -> Entities:
    """Return the entity that tells results of several splits and classifiers apart."""
    words = re.findall(r"[0-9a-zA-Z]+", item.estimator)
    return {"contrast": item.scheme + "".join(word[:1].upper() + word[1:] for word in words)}


def prediction_table(
    items: Sequence[Evaluated],
    entities: Entities,
    *,
    participant_labels: Sequence[str],
    run_labels: Sequence[str],
    task: str,
) -> Table:
    """Return one row per tested volume, classifier and split; labels are given by their codes."""
    frames = [_predictions(item, participant_labels, run_labels) for item in items]
    columns = {
        **PREDICTION_COLUMNS,
        **{_probability(name): Column(f"Probability of {name}") for name in items[0].classes},
    }
    frame = pd.concat(frames, ignore_index=True)[list(columns)]
    text = f"Predicted classes of held-out volumes of task {task}"
    return Table("predictions", frame, columns, entities, text)


def _probability(name: str) -> str:
    return f"probability_{name}"


def _predictions(
    item: Evaluated, participant_labels: Sequence[str], run_labels: Sequence[str]
) -> pd.DataFrame:
    held_out = item.evaluation.held_out
    classes = np.array(item.classes, dtype=object)
    frame = pd.DataFrame(
        {
            "participant_label": np.array(participant_labels, dtype=object)[held_out.participants],
            "run_index": np.array(run_labels, dtype=object)[held_out.runs],
            "time": held_out.times,
            "estimator": item.estimator,
            "scheme": item.scheme,
            "fold": np.array(held_out.fold_names, dtype=object)[held_out.folds],
            "class": classes[held_out.codes],
            "predicted": classes[held_out.predicted],
        }
    )
    names = [_probability(name) for name in item.classes]
    return frame.join(pd.DataFrame(held_out.probabilities, columns=names))


def confusion_matrices(items: Sequence[Evaluated], entities: Entities, task: str) -> list[Matrix]:
    """Return the confusion matrix (numbers of volumes) of every classifier and split."""
    return [
        Matrix(
            pd.DataFrame(
                item.evaluation.confusion, index=list(item.classes), columns=list(item.classes)
            ),
            {**entities, **variant(item)},
            f"Confusion matrix of {item.estimator} in task {task}, {item.scheme} split: numbers of "
            "held-out volumes by true class (rows) and predicted class (columns)",
        )
        for item in items
    ]
