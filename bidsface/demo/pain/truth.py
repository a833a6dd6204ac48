"""The truth about a pain study, written beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import skew

from bidsface.demo.anatomy import STRUCTURES, Anatomy
from bidsface.demo.images import write_image, write_json, write_table
from bidsface.demo.pain.design import DATA_SETS, TASK, DataSet, PainDesign
from bidsface.demo.pain.patterns import CONTROL, TEMPERATURE_WEIGHTS, PlantedMaps
from bidsface.demo.pain.simulation import PainParticipant, PainRun
from bidsface.demo.simulation import NOISE_SHARE
from bidsface.demo.study_folder import writer_of

STUDY = "pain"
STEP = 1e-4
"""Difference between neighbouring stored values of a map."""
NOISE_UNIT = (
    f"standard deviations of the main data set's white-spectrum noise, {NOISE_SHARE:.0%} of a "
    "voxel's baseline"
)
MAPS: Mapping[str, str] = {
    "main_facs": "What follows log(1 + facs) in the main data set; times a trial's amplitude it "
    "is the trial's response.",
    "second_facs": "The same of the second data set.",
    "temperature": "What follows the temperature above the pain threshold, in both data sets.",
    "activation": f"Response to any painful stimulus, in both data sets ({NOISE_UNIT}).",
    "scanner_shift": "What the second data set has in every response besides, before its "
    f"scanner's factor ({NOISE_UNIT}).",
}


@dataclass(frozen=True)
class PainTruth:
    """What is true of one participant.

    Attributes
    ----------
    data_set, label : str
    participant : dict
        Row of `participants.tsv`.
    trials : DataFrame
        Rows of `trials.tsv`.
    """

    data_set: str
    label: str
    participant: dict[str, Any]
    trials: pd.DataFrame


def participant_truth(
    data_set: DataSet, participant: PainParticipant, runs: Sequence[PainRun]
) -> PainTruth:
    """Collect what was planted in a participant."""
    names = {"data_set": data_set.name, "participant_id": f"sub-{participant.label}"}
    tables = []
    for run in runs:
        table = run.scan.trials.assign(**names, run_index=run.scan.number, amplitude=run.amplitudes)
        tables.append(table[[*names, "run_index", *run.scan.trials.columns, "amplitude"]])
    trials = pd.concat(tables)
    painful = trials.loc[trials["trial_type"] == "painful", "facs"]
    row = {
        **names,
        "expressiveness": participant.expressiveness,
        "mean_facs": float(painful.mean()),
        "framewise_displacement_mm": float(np.mean([run.scan.summary.mean_fd for run in runs])),
        "noise_sd": float(np.mean([run.scan.noise_sd.mean() for run in runs])),
    }
    return PainTruth(data_set.name, participant.label, row, trials)


def write_truth(
    folder: Path,
    design: PainDesign,
    anatomy: Anatomy,
    maps: PlantedMaps,
    truths: Sequence[PainTruth],
) -> None:
    """Write `truth.json`, the maps, `participants.tsv` and `trials.tsv`."""
    participants = pd.DataFrame([truth.participant for truth in truths])
    trials = pd.concat([truth.trials for truth in truths])
    write_table(folder / "participants.tsv", participants, digits=5)
    write_table(folder / "trials.tsv", trials, digits=8)
    for name, values in _maps(maps).items():
        volume = np.zeros(anatomy.brain.shape, dtype=np.float32)
        volume[anatomy.brain] = values
        write_image(folder / f"{name}.nii.gz", volume, anatomy.affine, step=STEP)
        write_json(folder / f"{name}.json", {"Description": MAPS[name]})
    write_json(folder / "truth.json", _summary(design, participants, trials))


def score_statistics(scores: NDArray, participants: NDArray) -> dict[str, float]:
    """Return how scores are distributed.

    Parameters
    ----------
    scores, participants : ndarray of shape (n_trials,)

    Returns
    -------
    dict
        Share of `zeros`, `skew`, and `between`: the share of the sum of squares that lies between
        the participants' means.
    """
    table = pd.DataFrame({"score": np.asarray(scores, dtype=float), "of": participants})
    means = table.groupby("of")["score"].transform("mean").to_numpy()
    values = table["score"].to_numpy()
    # Without any variance no share of it is anywhere.
    spread = float(values.var())
    return {
        "zeros": float((values == 0).mean()),
        "skew": float(skew(values)) if spread else 0.0,
        "between": float(means.var() / spread) if spread else 0.0,
    }


def _maps(maps: PlantedMaps) -> dict[str, NDArray[np.float32]]:
    return {
        **{f"{name}_facs": values for name, values in maps.facs.items()},
        "temperature": maps.temperature,
        "activation": maps.activation,
        "scanner_shift": maps.shift,
    }


def _summary(
    design: PainDesign, participants: pd.DataFrame, trials: pd.DataFrame
) -> dict[str, Any]:
    painful = trials[trials["trial_type"] == "painful"]
    return {
        "generated_by": writer_of(STUDY),
        "design": design.as_dict(),
        "task": TASK,
        "data_sets": {
            item.name: _data_set(
                item,
                participants[participants["data_set"] == item.name],
                painful[painful["data_set"] == item.name],
            )
            for item in DATA_SETS
        },
        "maps": {f"{name}.nii.gz": text for name, text in MAPS.items()},
        "temperature_structures": dict(TEMPERATURE_WEIGHTS),
        "control": {
            "structures": [CONTROL],
            "labels": [i for item in STRUCTURES if item.name == CONTROL for i in item.index],
            "planted": "Nothing follows the score or the temperature; its responses are those to "
            "any stimulus.",
        },
        "columns": {
            "amplitude": f"response at the peak of the facs map ({NOISE_UNIT}); proportional to "
            "log(1 + facs), with scatter",
            "expressiveness": "mean of the latent variable that the scores come from, in standard "
            "deviations between participants",
            "noise_sd": f"mean over the brain of the cleaned noise ({NOISE_UNIT})",
        },
    }


def _data_set(item: DataSet, participants: pd.DataFrame, painful: pd.DataFrame) -> dict[str, Any]:
    statistics = score_statistics(painful["facs"].to_numpy(), painful["participant_id"].to_numpy())
    return {
        "bids": item.bids.as_posix(),
        "participants": len(participants),
        "painful_trials": len(painful),
        "facs": {name: round(value, 4) for name, value in statistics.items()},
        "facs_structures": dict(item.facs_weights),
        "scanner": asdict(item.scanner),
    }
