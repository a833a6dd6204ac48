"""Decode eight object categories of Haxby et al. (2001) with bidsface and with a plain script.

    BIDSFACE_SHARED_DATA=... python benchmarks/haxby.py [--write]

The plain script uses nilearn and scikit-learn only and shares no code with bidsface. The data (one
slice, twelve runs) lie in ``$BIDSFACE_SHARED_DATA/haxby2001-slice`` as ``bids`` and ``fmriprep``.
--write puts the figures into docs/validation.md.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from nilearn.glm.first_level import make_first_level_design_matrix
from nilearn.maskers import NiftiMasker
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

sys.path.insert(0, str(Path(__file__).parent))

from sections import replace_section

from bidsface.__main__ import main

MOTION6 = ["trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z"]
TR = 2.5  # s
SHIFT = 5.0  # s after onset
DOCUMENT = Path(__file__).parents[1] / "docs" / "validation.md"


def plain_samples(data: Path, confounds: list[str]) -> pd.DataFrame:
    """Return one row per volume of an event: voxels, label, run, event."""
    rows = []
    for bold in sorted((data / "fmriprep/sub-01/func").glob("*_desc-preproc_bold.nii.gz")):
        stem = bold.name.removesuffix("_desc-preproc_bold.nii.gz")
        table = pd.read_csv(bold.parent / f"{stem}_desc-confounds_timeseries.tsv", sep="\t")
        mask = str(bold.parent / f"{stem}_desc-brain_mask.nii.gz")
        masker = NiftiMasker(mask_img=mask, detrend=True, standardize="zscore_sample")
        # As confounds, not as the masker's own filter: that one drops all of its cosines, with a
        # warning, in a run where a motion parameter correlates with one of them above 0.9.
        design = make_first_level_design_matrix(
            np.arange(len(table)) * TR, drift_model="cosine", high_pass=1 / 128
        )
        drifts = design.filter(like="drift").to_numpy()
        motion = table[confounds].fillna(0).to_numpy()
        series = masker.fit_transform(str(bold), confounds=np.hstack([motion, drifts]))
        events = pd.read_csv(data / f"bids/sub-01/func/{stem}_events.tsv", sep="\t")
        times = np.arange(len(series)) * TR
        for number, event in enumerate(events.itertuples()):
            start = event.onset + SHIFT
            for index in np.flatnonzero(
                (times >= start - 1e-6) & (times < start + event.duration - 1e-6)
            ):
                rows.append((event.trial_type, stem, f"{stem}-{number}", series[index]))
    return pd.DataFrame(rows, columns=["label", "run", "event", "voxels"])


def plain_accuracy(samples: pd.DataFrame) -> float:
    """Return the mean over runs of leave-one-run-out balanced accuracy."""
    X, y, runs = np.stack(samples["voxels"]), samples["label"].to_numpy(), samples["run"].to_numpy()
    # The penalty that bidsface's ridge takes by default: the number of features.
    model = make_pipeline(StandardScaler(), RidgeClassifier(alpha=X.shape[1]))
    predicted = cross_val_predict(model, X, y, groups=runs, cv=LeaveOneGroupOut())
    scores = [
        balanced_accuracy_score(y[runs == run], predicted[runs == run]) for run in np.unique(runs)
    ]
    return float(np.mean(scores))


def plain(data: Path, confounds: list[str]) -> dict[str, tuple[float, int]]:
    """Return accuracy and number of samples of both kinds of samples."""
    volumes = plain_samples(data, confounds)
    averages = (
        volumes.groupby(["event", "label", "run"], sort=False)["voxels"]
        .agg(lambda series: np.mean(np.stack(series), axis=0))
        .reset_index()
    )
    return {
        name: (plain_accuracy(samples), len(samples))
        for name, samples in (("averages", averages), ("volumes", volumes))
    }


def with_bidsface(data: Path, output: Path, *options: str) -> pd.DataFrame:
    """Run the default recipe and return the mean balanced accuracies in the brain mask."""
    argv = [str(data / "bids"), str(output), "participant", "group"]
    code = main([*argv, "--derivatives", f"fmriprep={data / 'fmriprep'}", *options])
    if code != 0:
        raise SystemExit(code)
    (path,) = output.glob("sub-01/func/*_desc-within_scores.tsv")
    scores = pd.read_csv(path, sep="\t", na_values="n/a", dtype={"fold": str})
    chosen = (
        (scores["roi_name"] == "brain")
        & (scores["metric"] == "balanced_accuracy")
        & (scores["fold"] == "mean")
        & scores["class"].isna()
    )
    return scores[chosen].set_index("samples")


def compare(data: Path, output: Path) -> list[str]:
    """Return a line for each kind of samples; fail if they differ by more than one sample."""
    ours, theirs = with_bidsface(data, output), plain(data, MOTION6)
    lines = []
    for name, (accuracy, n) in theirs.items():
        found = ours.loc[name]
        difference = abs(found["value"] - accuracy) * n
        lines.append(
            f"{name}: bidsface {found['value']:.4f} (p = {found['p']:.4f}), plain script "
            f"{accuracy:.4f}, difference {difference:.2f} samples of {n}"
        )
        assert difference <= 1
    return lines


def with_24(data: Path, output: Path) -> list[str]:
    """Return what 24 motion regressors cost on these short runs."""
    found = with_bidsface(data, output, "--set", "cleaning.confounds=motion24")
    return [
        f"{name} with 24 motion regressors instead of 6: bidsface {found.loc[name, 'value']:.4f}"
        for name in ("averages", "volumes")
    ]


def run() -> list[str]:
    """Run everything in a temporary folder."""
    root = Path(os.environ["BIDSFACE_SHARED_DATA"]) / "haxby2001-slice"
    with tempfile.TemporaryDirectory() as folder:
        return compare(root, Path(folder) / "motion6") + with_24(root, Path(folder) / "motion24")


if __name__ == "__main__":
    found = run()
    print("\n".join(found))
    if "--write" in sys.argv[1:]:
        heading = (
            "## Real data\n\nEight object categories in one slice of Haxby et al. (2001), default"
        )
        text = f"{heading} recipe,\nbrain mask; `python benchmarks/haxby.py --write`:\n\n"
        replace_section(DOCUMENT, "haxby", text + "\n".join(f"- {line}" for line in found))
