"""Find what was planted in the faces study, and nothing else, over many seeds.

    python benchmarks/faces_recovery.py --seeds 20

Every seed writes the study that ``bidsface-demo`` writes and analyses it twice with bidsface's
command line: with the default cleaning, and, displaying task only, without regressing out motion.
Only the kind of samples is narrowed (averages) and permutations and maps are left out: the group
inference is the default one, a Wilcoxon test for each region and FDR over the regions. The results
go between two markers into a Markdown document.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import tempfile
import time
from pathlib import Path

import pandas as pd
from sections import replace_section

from bidsface.__main__ import main as bidsface
from bidsface.demo.faces import write_study
from bidsface.demo.patterns import CONTROL, PLANTED, TASKS
from bidsface.demo.truth import read_snr

LEVEL = 0.05
CHEAP = (
    "analyses.within.samples=[averages]",
    "analyses.within.permutations=0",
    "analyses.within.maps=false",
)
CLEANINGS = {
    "default": [],
    "none": ["--task-id", "display", "--set", "cleaning.confounds=none"],
}


def analyse(bids: Path, output: Path, processes: int, cleaning: str) -> pd.DataFrame:
    """Run both levels; return one row per task and region of the group's mean accuracies."""
    argv = [str(bids), str(output), "participant", "group", "--nprocs", str(processes)]
    log = io.StringIO()
    with contextlib.redirect_stderr(log), contextlib.redirect_stdout(log):
        status = bidsface([*argv, "--set", *CHEAP, *CLEANINGS[cleaning]])
    if status != 0:
        raise SystemExit(f"bidsface ended with {status}:\n{log.getvalue()}")
    tables = [
        pd.read_csv(path, sep="\t", na_values="n/a", dtype={"fold": str})
        for path in sorted(output.glob("func/*_desc-within_scores.tsv"))
    ]
    scores = pd.concat(tables)
    chosen = scores[(scores["metric"] == "balanced_accuracy") & (scores["fold"] == "mean")]
    return chosen.assign(cleaning=cleaning)[
        ["cleaning", "test_task", "roi_name", "value", "chance", "p", "p_fdr", "n"]
    ]


def run_seed(seed: int, participants: int, processes: int) -> tuple[pd.DataFrame, dict]:
    """Write the study of one seed and analyse it; return accuracies and signal-to-noise ratios."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        bids = write_study(root, seed=seed, participants=participants, n_jobs=processes)
        parts = [analyse(bids, root / name, processes, name) for name in CLEANINGS]
        return pd.concat(parts).assign(seed=seed), read_snr(root / "truth")


def summarize(scores: pd.DataFrame) -> pd.DataFrame:
    """Return, per cleaning, task and region, mean accuracy and number of seeds that found it."""
    groups = scores.assign(found=scores["p_fdr"] < LEVEL).groupby(
        ["cleaning", "test_task", "roi_name"], sort=False
    )
    return groups.agg(
        mean=("value", "mean"), low=("value", "min"), high=("value", "max"), found=("found", "sum")
    )


def false_discoveries(scores: pd.DataFrame) -> tuple[float, float, int]:
    """Return the false discovery proportion, the rate of control tests, and their number.

    The proportion is that of control regions among the regions found, averaged over the families
    of tests (a seed's task); brain and grey matter contain planted regions.
    """
    default = scores[(scores["cleaning"] == "default") & scores["p_fdr"].notna()]
    found = default.assign(found=default["p_fdr"] < LEVEL)
    control = found["roi_name"].isin(CONTROL)
    families = found.assign(false=found["found"] & control).groupby(["seed", "test_task"])
    proportion = (families["false"].sum() / families["found"].sum().clip(lower=1)).mean()
    return float(proportion), float(found.loc[control, "found"].mean()), int(control.sum())


def check(scores: pd.DataFrame) -> list[str]:
    """Return what falls short: nine tenths of the seeds, the FDR level, the leak."""
    summary, seeds = summarize(scores), scores["seed"].nunique()
    wanted = 0.9 * seeds
    complaints = [
        f"{region} in {task}: found in {summary.loc[('default', task, region), 'found']} seeds"
        for task in TASKS
        for region in PLANTED
        if summary.loc[("default", task, region), "found"] < wanted
    ]
    complaints += [
        f"{region} in display without motion cleaning: found in "
        f"{summary.loc[('none', 'display', region), 'found']} seeds"
        for region in CONTROL
        if summary.loc[("none", "display", region), "found"] < wanted
    ]
    proportion, rate, _ = false_discoveries(scores)
    if max(proportion, rate) > LEVEL:
        complaints.append(f"control regions: false discoveries {proportion:.3f}, rate {rate:.3f}")
    return complaints


def document(scores: pd.DataFrame, snr: dict, seconds: float) -> str:
    """Return the section of the document."""
    summary, seeds = summarize(scores), scores["seed"].nunique()
    proportion, rate, tests = false_discoveries(scores)
    participants, chance = int(scores["n"].max()), float(scores["chance"].iloc[0])

    def cell(cleaning: str, task: str, region: str) -> str:
        row = summary.loc[(cleaning, task, region)]
        found = "" if region == "motion" else f", {int(row['found'])}/{seeds}"
        return f"{row['mean']:.2f} ({row['low']:.2f}-{row['high']:.2f}){found}"

    lines = [
        "## Planted regions in the faces study",
        "",
        f"`python benchmarks/faces_recovery.py --seeds {seeds}`: {participants} participants, "
        f"chance {chance:.2f}, {seconds / 60:.0f} minutes.",
        "Each cell: mean accuracy of the group over seeds (smallest - largest), and in how many "
        f"seeds the region was found, p_fdr < {LEVEL}.",
        "",
        "| region | planted, SNR display / observe | display | observe | display, motion left in |",
        "| --- | --- | --- | --- | --- |",
    ]
    for region in [*PLANTED, *CONTROL, "brain", "greymatter", "motion"]:
        ratio = snr.get(region, {})
        planted = f"{ratio['display']:.2f} / {ratio['observe']:.2f}" if any(ratio.values()) else "-"
        cells = [
            cell("default", "display", region),
            cell("default", "observe", region),
            cell("none", "display", region),
        ]
        lines.append(f"| {' | '.join([region, planted, *cells])} |")
    lines += [
        "",
        f"Control regions with the default cleaning: {rate:.3f} of {tests} tests below "
        f"p_fdr {LEVEL}; share of control regions among those found {proportion:.3f} "
        "(mean over seeds and tasks). The row `motion` decodes the six motion parameters alone: "
        "it says why control regions decode in `display` where motion is left in. "
        "`brain` and `greymatter` contain the planted regions.",
        "",
        "Signal-to-noise ratio (SNR): standard deviation of the class patterns over voxels, at the "
        "peak of one trial's response, over that of one cleaned volume's noise over time.",
    ]
    return "\n".join(lines)


def main() -> int:
    """Run the benchmark; return 1 if it falls short."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20, help="number of seeds (default 20)")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--participants", type=int, default=8)
    parser.add_argument("--nprocs", type=int, default=2)
    parser.add_argument("--document", type=Path, default=Path("docs/validation.md"))
    options = parser.parse_args()
    start, parts, snr = time.perf_counter(), [], {}
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        scores, snr = run_seed(seed, options.participants, options.nprocs)
        parts.append(scores)
        misses = check(scores)
        seconds = time.perf_counter() - start
        print(f"seed {seed}, {seconds:.0f} s: {'; '.join(misses) or 'all found'}", flush=True)
    scores = pd.concat(parts)
    text = document(scores, snr, time.perf_counter() - start)
    replace_section(options.document, "faces_recovery", text)
    print(text)
    complaints = check(scores)
    print("\n".join(complaints) or "recovered as planted")
    return int(bool(complaints))


if __name__ == "__main__":
    raise SystemExit(main())
