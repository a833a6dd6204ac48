"""Find what was planted in the pain study, and nothing in shuffled scores, over several seeds.

    python benchmarks/facs_recovery.py --seeds 5 --write

Every seed writes the study that ``bidsface-demo --study pain`` writes, and analyses it as that
does: the participants of both data sets, then the group, with the second data set to be predicted.
Then the scores of all events are shuffled over all participants, and it is analysed again.
Permutations are fewer, and coefficients are not tested; nothing else is changed.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import shutil
import sys
import tempfile
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
from sections import machine, replace_section

from bidsface.__main__ import main as bidsface
from bidsface.demo.pain.study import write_study

PARTICIPANTS, SECOND = 20, 12
SETTINGS = [
    "analyses.facs.permutations=199",
    "analyses.facs.bootstraps=0",
    "analyses.facs.shift_permutations=199",
    "analyses.facs.covariates=[temperature]",
]
MODELS = ("lasso", "ridge", "svr")
BASELINES = ("training_mean", "covariates", "motion")
LEAST_CORRELATION = 0.5
HEADER = (
    *("model", "correlation", "shuffled", "R2", "baseline R2", "pooled R2", "r within"),
    *("p within <= 0.05", "shuffled", "M1", "R2, second data set"),
)


def run(argv: list[str]) -> None:
    """Run bidsface; exit with what it said if it fails."""
    log = io.StringIO()
    with contextlib.redirect_stderr(log), contextlib.redirect_stdout(log):
        status = bidsface([*argv, "--recipe", "facs-regression", "--set", *SETTINGS])
    if status != 0:
        raise SystemExit(f"bidsface ended with {status}:\n{log.getvalue()}")


def analyse(root: Path, processes: int, second: bool = True) -> Path:
    """Return the output folder of the group."""
    output, other = root / "bidsface", root / "second" / "bidsface"
    nprocs = ["--nprocs", str(processes)]
    run([str(root / "bids"), str(output), "participant", *nprocs])
    more = []
    if second:
        run([str(root / "second" / "bids"), str(other), "participant", *nprocs])
        more = ["--derivatives", f"second={other}"]
    run([str(root / "bids"), str(output), "group", *nprocs, *more])
    return output


def shuffle_scores(root: Path, seed: int) -> None:
    """Shuffle the column ``facs`` over the events of all participants that have one."""
    paths = sorted((root / "bids").glob("sub-*/func/*_events.tsv"))
    frames = [pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False) for path in paths]
    known = [frame["facs"] != "n/a" for frame in frames]
    values = np.concatenate([frame["facs"][own] for frame, own in zip(frames, known, strict=True)])
    shuffled = iter(np.random.default_rng(seed).permutation(values))
    for path, frame, own in zip(paths, frames, known, strict=True):
        frame.loc[own, "facs"] = [next(shuffled) for _ in range(int(own.sum()))]
        frame.to_csv(path, sep="\t", index=False)


def table(output: Path, suffix: str) -> pd.DataFrame:
    """Return a table of the group."""
    (path,) = output.glob(f"func/*_desc-facs_{suffix}.tsv")
    return pd.read_csv(path, sep="\t", na_values="n/a", dtype={"fold": str})


def score(scores: pd.DataFrame, metric: str, column: str = "value", **facts: str) -> float:
    """Return one number of the table of scores."""
    rows = scores[(scores["metric"] == metric) & (scores["scale"] == "model")]
    for name, value in facts.items():
        rows = rows[rows[name] == value]
    return float(rows[column].iloc[0])


def spatial_correlation(output: Path, root: Path, model: str) -> float:
    """Correlate the signature of the whole brain with the planted pattern."""
    (path,) = output.glob(
        f"func/*_label-wholebrain_desc-facs_contrast-{model}_stat-weight_statmap.nii.gz"
    )
    found, planted = (
        nib.load(one).get_fdata() for one in (path, root / "truth" / "main_facs.nii.gz")
    )
    inside = found != 0
    return float(np.corrcoef(found[inside], planted[inside])[0, 1]) if inside.any() else 0.0


def rows_of(seed: int, processes: int) -> list[dict[str, object]]:
    """Return one row per model, with and without shuffled scores."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_study(
            root,
            seed=seed,
            participants=PARTICIPANTS,
            second_participants=SECOND,
            n_jobs=processes,
        )
        for shuffled in (False, True):
            if shuffled:
                shutil.rmtree(root / "bidsface")
                shuffle_scores(root, seed)
            output = analyse(root, processes, second=not shuffled)
            scores = table(output, "scores")
            for model in MODELS:
                rows.append(
                    {"seed": seed, "shuffled": shuffled, "model": model}
                    | _numbers(output, root, scores, model, shuffled)
                )
    return rows


def _numbers(
    output: Path, root: Path, scores: pd.DataFrame, model: str, shuffled: bool
) -> dict[str, float]:
    own = {"roi_name": "wholebrain", "estimator": model, "fold": "mean"}
    found = {
        "correlation": spatial_correlation(output, root, model),
        "r2": score(scores, "r2", **own),
        "pooled_r2": score(scores, "r2", **(own | {"fold": "pooled"})),
        "r_within": score(scores, "within_pearson", **own),
        "p_within": score(scores, "r2", "p_within", **own),
        "m1_r2": score(scores, "r2", **(own | {"roi_name": "m1"})),
        "m1_p_within": score(scores, "r2", "p_within", **(own | {"roi_name": "m1"})),
        "baseline": max(score(scores, "r2", estimator=one, fold="mean") for one in BASELINES),
    }
    if shuffled:
        return found
    shift = table(output, "comparisons")
    mean = shift[shift["fold"] == "mean"].iloc[0]
    other = own | {"fold": "all", "dataset": "second"}
    return found | {
        "second_r2": score(scores, "r2", **other),
        "second_r_within": score(scores, "within_pearson", **other),
        "shift": float(mean["value"]),
        "shift_p": float(mean["p"]),
    }


def section(frame: pd.DataFrame, seconds: float) -> str:
    """Return the section of the document."""
    planted, null = frame[~frame["shuffled"]], frame[frame["shuffled"]]
    lines = []
    for model in MODELS:
        own, other = (part[part["model"] == model] for part in (planted, null))
        cells = [
            _range(own["correlation"]),
            _range(other["correlation"]),
            _range(own["r2"]),
            _range(own["baseline"]),
            _range(own["pooled_r2"]),
            _range(own["r_within"]),
            f"{int((own['p_within'] <= 0.05).sum())} of {len(own)}",
            f"{int((other['p_within'] <= 0.05).sum())} of {len(other)}",
            f"{int((own['m1_p_within'] <= 0.05).sum())} of {len(own)}",
            _range(own["second_r2"]),
        ]
        lines.append(f"| {model} | " + " | ".join(cells) + " |")
    first = planted.drop_duplicates("seed")
    return f"""
## What was planted in the study of pain is found

{len(first)} studies as `bidsface-demo --study pain` writes them ({PARTICIPANTS} participants,
{SECOND} in the second data set), analysed with the recipe `facs-regression` (199 permutations),
and again with the scores shuffled over all events. Mean over the studies, smallest and largest in
brackets; whole brain, but where M1 is named. Correlation: of the signature with the planted
pattern, over voxels. R2: mean over folds, and of all held-out images pooled. Baseline: the best of
the training participants' mean, the temperature, and head motion. {seconds / 60:.0f} minutes
({machine()}); `python benchmarks/facs_recovery.py --seeds {len(first)} --write`.

| {" | ".join(HEADER)} |
|{" --- |" * len(HEADER)}
{chr(10).join(lines)}

The data sets are told apart with a balanced accuracy of {_range(first["shift"])}, p at most
{first["shift_p"].max():.3g}.
"""


def _range(values: pd.Series) -> str:
    return f"{values.mean():.2f} ({values.min():.2f} to {values.max():.2f})"


def passes(frame: pd.DataFrame) -> bool:
    """Tell whether everything came out as planted, in every seed and with every model."""
    planted, null = frame[~frame["shuffled"]], frame[frame["shuffled"]]
    # Of shuffled scores a strong penalty leaves the images' first component, to which the planted
    # pattern belongs, with whatever sign: single correlations are not 0, but their mean is near it.
    by_chance = null.groupby("model")["correlation"].mean().abs()
    return bool(
        (planted["correlation"] >= LEAST_CORRELATION).all()
        and (by_chance < LEAST_CORRELATION / 2).all()
        and (planted["r2"] > planted["baseline"]).all()
        and (planted["second_r2"] < planted["pooled_r2"]).all()
        and (planted["shift_p"] <= 0.05).all()
    )


def main() -> int:
    """Run the benchmark; the exit status tells whether what was planted was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--nprocs", type=int, default=2)
    parser.add_argument("--write", action="store_true", help="write docs/validation.md")
    options = parser.parse_args()
    start, rows = time.perf_counter(), []
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        rows += rows_of(seed, options.nprocs)
        print(pd.DataFrame(rows[-2 * len(MODELS) :]).round(3).to_string(), flush=True)
    frame = pd.DataFrame(rows)
    text = section(frame, time.perf_counter() - start)
    print(text)
    if options.write:
        document = Path(__file__).parents[1] / "docs" / "validation.md"
        replace_section(document, "facs_recovery", text)
    return int(not passes(frame))


if __name__ == "__main__":
    sys.exit(main())
