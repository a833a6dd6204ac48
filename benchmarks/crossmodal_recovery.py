"""Find the codes that the tasks share, before and after realignment, over many seeds.

    python benchmarks/crossmodal_recovery.py --seeds 20

Every seed writes the study that ``bidsface-demo`` writes and analyses it with the recipe
``crossmodal-faces``, both levels in one call. As a check of the check, the study of some seeds is
written once more with the expressions permuted over the trials of every run: nothing may be found
there beyond the false discovery rate. The section of the document is written anew after every seed,
so that a run that is cut short loses nothing; a seed that the folder ``--keep`` holds is not run
again.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from sections import replace_section

from bidsface.__main__ import main as bidsface
from bidsface.demo.faces import write_study
from bidsface.demo.patterns import CONTROL, MAPPED, SHARED, TASKS

LEVEL, WANTED = 0.05, 0.9
RECIPE = "crossmodal-faces"
DIRECTIONS = (TASKS, TASKS[::-1])
PLANTED = (*SHARED, *MAPPED)


def analyse(bids: Path, output: Path, options: argparse.Namespace) -> None:
    """Run both levels of the analyses with the recipe."""
    argv = [str(bids), str(output), "participant", "group", "--recipe", RECIPE]
    argv += ["--analysis", *options.analysis, "--nprocs", str(options.nprocs)]
    argv += ["--set", *options.set] if options.set else []
    log = io.StringIO()
    with contextlib.redirect_stderr(log), contextlib.redirect_stdout(log):
        status = bidsface(argv)
    if status != 0:
        raise SystemExit(f"bidsface ended with {status}:\n{log.getvalue()}")


def read(output: Path, suffix: str) -> pd.DataFrame:
    """Return a table of the group."""
    [path] = output.glob(f"func/*desc-crossmodal_{suffix}.tsv")
    return pd.read_csv(path, sep="\t", na_values="n/a", dtype={"fold": str})


def run_seed(
    seed: int, shuffled: bool, options: argparse.Namespace
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Write and analyse the study of one seed; return group scores and comparisons."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        bids = write_study(
            root,
            seed=seed,
            participants=options.participants,
            shuffle_labels=shuffled,
            n_jobs=options.nprocs,
        )
        analyse(bids, root / "out", options)
        scores, comparisons = read(root / "out", "scores"), read(root / "out", "comparisons")
    kept = (scores["metric"] == "balanced_accuracy") & (scores["fold"] == "mean")
    return scores[kept].assign(seed=seed), comparisons.assign(seed=seed)


def load_or_run(
    keep: Path, seed: int, shuffled: bool, options: argparse.Namespace
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the tables of a seed, from an earlier run if there was one."""
    name = f"seed-{seed}{'-shuffled' * shuffled}"
    paths = [keep / f"{name}_{suffix}.tsv" for suffix in ("scores", "comparisons")]
    if not all(path.exists() for path in paths):
        tables = run_seed(seed, shuffled, options)
        for path, table in zip(paths, tables, strict=True):
            table.to_csv(path, sep="\t", index=False)
    scores, comparisons = (pd.read_csv(path, sep="\t") for path in paths)
    return scores, comparisons


def of(
    table: pd.DataFrame, direction: Sequence[str], aligner: str | None, motion: str = "kept"
) -> pd.DataFrame:
    """Return the scores of one condition."""
    same = table["aligner"].isna() if aligner is None else table["aligner"] == aligner
    return table[
        same
        & (table["train_task"] == direction[0])
        & (table["test_task"] == direction[1])
        & (table["motion"] == motion)
    ]


def gains(table: pd.DataFrame, direction: Sequence[str]) -> pd.DataFrame:
    """Return the realignment gains of one direction."""
    return table[
        (table["comparison"] == "realignment")
        & (table["train_task_a"] == direction[0])
        & (table["test_task_a"] == direction[1])
        & (table["motion_a"] == "kept")
    ]


def count(table: pd.DataFrame, region: str) -> int:
    """Return in how many seeds a region was found."""
    return int((table.loc[table["roi_name"] == region, "p_fdr"] < LEVEL).sum())


def control_rate(table: pd.DataFrame) -> tuple[float, int]:
    """Return the share of control tests below the level, and their number."""
    tests = table[table["roi_name"].isin(CONTROL) & table["p_fdr"].notna()]
    return float((tests["p_fdr"] < LEVEL).mean()), len(tests)


def check(scores: pd.DataFrame, comparisons: pd.DataFrame) -> list[str]:
    """Return what falls short of what was planted."""
    wanted = WANTED * scores["seed"].nunique()
    found = []
    for direction in DIRECTIONS:
        words = " to ".join(direction)
        found += [
            f"{region}, {words}: {count(of(scores, direction, 'none'), region)} seeds"
            for region in SHARED
            if count(of(scores, direction, "none"), region) < wanted
        ]
        for region in MAPPED:
            realigned = count(of(scores, direction, "bcca"), region)
            gained = count(gains(comparisons, direction), region)
            if realigned < wanted:
                found.append(f"{region}, {words} realigned: {realigned} seeds")
            if gained < wanted:
                found.append(f"{region}, {words}: gain in {gained} seeds")
    across = scores[scores["train_task"] != scores["test_task"]]
    mapped = across[(across["aligner"] == "none") & across["roi_name"].isin(MAPPED)]
    premature = float((mapped["p_fdr"] < LEVEL).mean())
    for what, rate in (("controls", control_rate(scores)[0]), ("mapped, unaligned", premature)):
        if rate > LEVEL:
            found.append(f"{what}: {rate:.3f} of the tests found")
    return found


def section(
    scores: pd.DataFrame,
    comparisons: pd.DataFrame,
    shuffled: pd.DataFrame,
    settings: Sequence[str],
) -> str:
    """Return the section of the document."""
    seeds = scores["seed"].nunique()
    rate, tests = control_rate(scores)
    heads = [
        f"{' to '.join(direction)}{word}"
        for direction in DIRECTIONS
        for word in ("", ", realigned", ", gain")
    ]
    lines = [
        "## Shared codes in the faces study",
        "",
        f"`python benchmarks/crossmodal_recovery.py --seeds {seeds}`: {int(scores['n'].max())} "
        f"participants, recipe `{RECIPE}`{_but(settings)}, chance 0.33. Each cell: "
        "mean accuracy of the group over seeds (or mean gain), and in how many seeds p_fdr < "
        f"{LEVEL}.",
        "",
        f"| region | planted | {' | '.join(heads)} |",
        f"| --- | --- | {' | '.join(['---'] * len(heads))} |",
    ]
    for region in dict.fromkeys((*PLANTED, *CONTROL, *scores["roi_name"])):
        if region == "motion":
            continue
        plan = "shared" if region in SHARED else "mapped" if region in MAPPED else "-"
        cells = []
        for direction in DIRECTIONS:
            tables = [of(scores, direction, "none"), of(scores, direction, "bcca")]
            cells += [_cell(table, region, "value") for table in tables]
            cells.append(_cell(gains(comparisons, direction), region, "difference"))
        lines.append(f"| {region} | {plan} | {' | '.join(cells)} |")
    lines += [
        "",
        f"Control regions (amygdala, thalamus, insula, anterior cingulate): {rate:.3f} of {tests} "
        f"tests below p_fdr {LEVEL}, all conditions together. The spheres `secondarysomatosensory` "
        "and `motionarea` overlap planted structures.",
    ]
    if len(shuffled):
        below = (shuffled["p_fdr"] < LEVEL).sum()
        lines.append(
            "With the expressions permuted over the trials of every run "
            f"({shuffled['seed'].nunique()} seeds): {below} of "
            f"{shuffled['p_fdr'].notna().sum()} tests below p_fdr {LEVEL}."
        )
    return "\n".join(lines)


def _but(settings: Sequence[str]) -> str:
    return f" but with {', '.join(f'`{one}`' for one in settings)}" if settings else ""


def _cell(table: pd.DataFrame, region: str, column: str) -> str:
    rows = table[table["roi_name"] == region]
    if rows.empty:
        return "-"
    return f"{rows[column].mean():.2f}, {count(table, region)}/{rows['seed'].nunique()}"


def main() -> int:
    """Run the benchmark; return 1 if it falls short."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20, help="number of seeds (default 20)")
    parser.add_argument("--shuffled-seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--participants", type=int, default=8)
    parser.add_argument("--nprocs", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="folder for the tables of finished seeds")
    parser.add_argument(
        "--analysis",
        nargs="+",
        default=["activation", "crossmodal"],
        help="analyses of the recipe; without functional regions, crossmodal is enough",
    )
    parser.add_argument("--set", nargs="+", default=[], help="overrides of the recipe")
    parser.add_argument("--document", type=Path, default=Path("docs/validation.md"))
    options = parser.parse_args()
    start = time.perf_counter()
    real: list[tuple[pd.DataFrame, pd.DataFrame]] = []
    null: list[pd.DataFrame] = []
    with contextlib.ExitStack() as stack:
        keep = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        keep.mkdir(parents=True, exist_ok=True)
        for seed in range(options.first_seed, options.first_seed + options.seeds):
            real.append(load_or_run(keep, seed, False, options))
            if len(null) < options.shuffled_seeds:
                null.append(load_or_run(keep, seed, True, options)[0])
            scores, comparisons = (pd.concat(tables) for tables in zip(*real, strict=True))
            shuffled = pd.concat(null) if null else scores.head(0)
            text = section(scores, comparisons, shuffled, options.set)
            replace_section(options.document, "crossmodal_recovery", text)
            misses = check(scores, comparisons)
            seconds = time.perf_counter() - start
            print(f"seed {seed}, {seconds:.0f} s: {'; '.join(misses) or 'as planted'}", flush=True)
    print(text)
    return int(bool(misses))


if __name__ == "__main__":
    sys.exit(main())
