"""Find what was planted in the film study, and nothing where labels are shuffled, over seeds.

    python benchmarks/film_recovery.py --seeds 3 --write

Every seed writes the study that ``bidsface-demo --study film`` writes, and analyses it as that
does. Then the study is written with the emotions that episodes evoke drawn anew for every
participant and run, so that observers' labels have nothing to do with the brain, and analysed
again.
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
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
from scipy import stats
from sections import machine, replace_section

from bidsface.__main__ import main as bidsface
from bidsface.demo.__main__ import STUDIES
from bidsface.demo.film.design import EMOTIONS
from bidsface.demo.film.study import write_film_study
from bidsface_emotion_cnn.position_overlap import Displaced, displaced_dice
from bidsface_emotion_cnn.positions import BoxGrid, Positions

LEAST_DICE, SLOWEST = 0.4, 600.0
LEVEL = 0.01
"""Of the p of a study's overlaps: at most that where labels mean something, above it elsewhere."""
UNKNOWN = Displaced(*[float("nan")] * 4)
SCHEMES = ("runs", "participants", "random")
HEADER = (
    *("seed", "labels", "network, runs", "participants", "random"),
    *("logistic, runs", "participants", "random", "p", "Dice", "elsewhere", "p of Dice"),
    "minutes",
)


def analyse(root: Path, processes: int) -> Path:
    """Return the output folder; exit with what bidsface said if it fails."""
    output, log = root / "bidsface", io.StringIO()
    argv = [str(root / "bids"), str(output), "participant", "group", "--recipe", "emotion-cnn"]
    argv += ["--nprocs", str(processes), "--set", *STUDIES["film"].settings]
    with contextlib.redirect_stderr(log), contextlib.redirect_stdout(log):
        status = bidsface(argv)
    if status != 0:
        raise SystemExit(f"bidsface ended with {status}:\n{log.getvalue()}")
    return output


def table(output: Path, name: str) -> pd.DataFrame:
    """Read a table of the group."""
    (path,) = output.glob(f"func/{name}")
    return pd.read_csv(path, sep="\t", na_values="n/a")


def accuracies(output: Path) -> dict[str, float]:
    """Return balanced accuracies and p-values by scheme and classifier."""
    scores = table(output, "*_desc-emotions_scores.tsv")
    rows = scores[(scores["metric"] == "balanced_accuracy") & (scores["fold"] == "pooled")]
    found = {}
    for row in rows.itertuples():
        found[f"{row.scheme} {row.estimator}"] = float(row.value)
        found[f"{row.scheme} {row.estimator} p"] = float(row.p)
    return found


def overlaps(output: Path, truth: Path) -> dict[str, Displaced]:
    """Compare every emotion's top positions with its places; `UNKNOWN` where there are none.

    There are none where no volume of the emotion is recognized well enough to be shown.
    """
    if not list(output.glob("func/*_desc-emotions_embedding.tsv")):
        return dict.fromkeys(EMOTIONS, UNKNOWN)
    places = table(output, "*_desc-emotions_embedding.tsv")
    return {
        emotion: _overlap(output, truth, emotion, places[places["class"] == emotion])
        for emotion in EMOTIONS
    }


def _overlap(output: Path, truth: Path, emotion: str, own: pd.DataFrame) -> Displaced:
    paths = list(output.glob(f"func/*_contrast-{emotion}_stat-importance_statmap.nii.gz"))
    if not paths or not len(own):
        return UNKNOWN
    image = nib.load(paths[0])
    grid = BoxGrid(image.shape, image.affine, *box_of_demo())
    centres = own.sort_values("rank")[["x_mm", "y_mm", "z_mm"]].to_numpy()
    away = np.linalg.norm(grid.centres_mm[:, None] - centres, axis=2)
    mask = resampled(truth / f"{emotion}_mask.nii.gz", image)
    inside = np.asarray(image.dataobj) != 0
    return displaced_dice(grid, as_large(grid, away.argmin(axis=0), mask, inside), mask, inside)


def as_large(grid: BoxGrid, ordered: Positions, mask: np.ndarray, inside: np.ndarray) -> Positions:
    """Return the first positions, until they cover as many voxels as a mask has.

    How many positions the analysis shows has then no influence: more of them than a mask has room
    for cannot agree with it.
    """
    size = np.count_nonzero(mask & inside)
    for n in range(1, len(ordered)):
        if np.count_nonzero(grid.covered(ordered[:n]) & inside) >= size:
            return ordered[:n]
    return ordered


def combined_p(found: dict[str, Displaced]) -> float:
    """Combine p of the emotions that are known by Fisher's method; NaN if none is."""
    known = [one.p for one in found.values() if np.isfinite(one.p)]
    return float(stats.combine_pvalues(known, "fisher").pvalue) if known else float("nan")


def box_of_demo() -> tuple[Any, Any, bool]:
    """Return box, stride and padding of the demo's settings."""
    import yaml

    (line,) = [one for one in STUDIES["film"].settings if "occlusion" in one]
    options = yaml.safe_load(line.split("=", 1)[1])
    return options.get("box", 2), options.get("stride", 2), options.get("pad", True)


def resampled(path: Path, like: nib.Nifti1Image) -> np.ndarray:
    """Return a mask at the voxels of an image on the same lattice."""
    mask = nib.load(path)
    index = np.indices(like.shape).reshape(3, -1)
    mm = like.affine[:3, :3] @ index + like.affine[:3, 3:]
    own = np.linalg.inv(mask.affine)
    voxels = np.rint(own[:3, :3] @ mm + own[:3, 3:]).astype(int)
    return np.asarray(mask.dataobj)[tuple(voxels)].reshape(like.shape) > 0


def one_seed(seed: int, processes: int) -> dict[str, Any]:
    """Return what was found in a seed, and in its shuffled twin."""
    row: dict[str, Any] = {"seed": seed}
    for name, shuffled in (("planted", False), ("shuffled", True)):
        root = Path(tempfile.mkdtemp(prefix="film-"))
        try:
            start = time.perf_counter()
            write_film_study(root, seed=seed, n_jobs=processes, shuffled=shuffled)
            output = analyse(root, processes)
            row[name] = {
                "seconds": time.perf_counter() - start,
                **accuracies(output),
                "dice": overlaps(output, root / "truth"),
            }
        finally:
            shutil.rmtree(root)
    return row


def _range(values: list[float]) -> str:
    """Return smallest and largest value, and how many are not known."""
    known = [value for value in values if np.isfinite(value)]
    missing = [f"{len(values) - len(known)} n/a"] if len(known) < len(values) else []
    span = [f"{min(known):.2f}-{max(known):.2f}"] if known else []
    return ", ".join([*span, *missing])


def _number(value: float) -> str:
    return f"{value:.3f}" if np.isfinite(value) else "n/a"


def section(rows: list[dict[str, Any]]) -> str:
    """Return the section of the document."""
    lines = []
    for row in rows:
        for name in ("planted", "shuffled"):
            one = row[name]
            values = [f"{one[f'{scheme} network']:.2f}" for scheme in SCHEMES]
            values += [f"{one[f'{scheme} logistic']:.2f}" for scheme in SCHEMES]
            cells = [str(row["seed"]), name, *values, f"{one['runs network p']:.3f}"]
            found = one["dice"].values()
            cells += [_range([own.dice for own in found]), _range([own.mean for own in found])]
            cells.append(_number(combined_p(one["dice"])))
            cells.append(f"{one['seconds'] / 60:.1f}")
            lines.append(f"| {' | '.join(cells)} |")
    return f"""
## Emotions in a film: what was planted

The study of `bidsface-demo --study film` ({machine()},
`python benchmarks/film_recovery.py`): balanced accuracy of the network and of logistic regression
(chance 0.20) with runs, participants and random volumes held out, p of the network with runs held
out. Dice's coefficient with the planted places, of as many top positions of occlusion as cover a
volume of the same size (smallest and largest of the emotions; wanted: {LEAST_DICE} for all); its
mean with the same places moved over the brain and mirrored; and p, from the share of these that
agree at least as well, combined over emotions by Fisher's method. Shuffled: emotions drawn anew for
every participant and run, where p has to be above {LEVEL} (elsewhere at most that). n/a: emotions
without a volume that is recognized well enough, which have no map; with planted patterns that is a
failure. A study may take {SLOWEST / 60:.0f} minutes.

| {" | ".join(HEADER)} |
|{" --- |" * len(HEADER)}
{chr(10).join(lines)}
"""


def good(row: dict[str, Any]) -> bool:
    """Tell whether a seed found what it should."""
    planted, shuffled = row["planted"], row["shuffled"]
    return bool(
        planted["runs network p"] <= 0.05
        and planted["random network"] > planted["runs network"] + 0.05
        and shuffled["runs network p"] > 0.05
        and all(one.dice >= LEAST_DICE for one in planted["dice"].values())
        and combined_p(planted["dice"]) <= LEVEL
        # Not known where nothing is recognized well enough, which is as it should be.
        and not combined_p(shuffled["dice"]) <= LEVEL
        and max(planted["seconds"], shuffled["seconds"]) <= SLOWEST
    )


def main() -> int:
    """Run the benchmark; the exit status tells whether every seed found what it should."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--nprocs", type=int, default=2)
    parser.add_argument("--write", action="store_true", help="write docs/validation.md")
    options = parser.parse_args()
    rows = []
    for seed in range(1, options.seeds + 1):
        rows.append(one_seed(seed, options.nprocs))
        print(rows[-1], flush=True)
    text = section(rows)
    print(text)
    if options.write:
        document = Path(__file__).parents[1] / "docs" / "validation.md"
        replace_section(document, "film_recovery", text)
    return int(not all(map(good, rows)))


if __name__ == "__main__":
    sys.exit(main())
