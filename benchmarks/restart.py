"""Kill bidsface at random moments, start it again, and compare its tables with an undisturbed run.

    python benchmarks/restart.py [--kills 20] [--seed 0] [--write]

Half of the kills wait until files are being written (a receipt says "writing", or a scratch folder
is filling) and strike a random few milliseconds later; the others strike at a random moment of the
run. Prints what was found (--write: into docs/validation.md) and fails if a table differs.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from sections import replace_section

from bidsface.demo.faces import write_study

DOCUMENT = Path(__file__).parents[1] / "docs" / "validation.md"
OPTIONS = ("--set", "analyses.within.permutations=50", "--nprocs", "1")


def command(bids: Path, out: Path) -> list[str]:
    return [sys.executable, "-m", "bidsface", str(bids), str(out), "participant", "group", *OPTIONS]


def tables(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*.tsv"))}


def is_writing(out: Path) -> bool:
    """Tell whether results are on their way: staged in a scratch folder, or moving into place."""
    staged = any(path.is_file() for path in (out / ".bidsface" / "tmp").glob("*/*"))
    return staged or any(
        b'"writing"' in path.read_bytes()
        for path in (out / ".bidsface" / "receipts").glob("*/*/*.json")
    )


def kill_once(bids: Path, out: Path, rng: np.random.Generator, seconds: float, aim: bool) -> bool:
    """Start a run, kill it, and tell whether it was writing; False as well if it ended before."""
    process = subprocess.Popen(command(bids, out), stdout=subprocess.DEVNULL)
    moment = time.monotonic() + rng.uniform(0.1, 0.9) * seconds
    while process.poll() is None and time.monotonic() < moment:
        time.sleep(0.002)
    while aim and process.poll() is None and not is_writing(out):
        time.sleep(0.0005)
    if aim:
        time.sleep(rng.uniform(0, 0.02))
    process.send_signal(signal.SIGKILL)
    process.wait()
    return process.returncode == -signal.SIGKILL and is_writing(out)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true", help="write docs/validation.md")
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        bids = write_study(
            root, seed=1, participants=3, runs=3, trials_per_class=4, voxel_size_mm=9.0
        )
        started = time.monotonic()
        subprocess.run(command(bids, root / "whole"), check=True, stdout=subprocess.DEVNULL)
        seconds = time.monotonic() - started
        wanted, differing, writing = tables(root / "whole"), 0, 0
        for number in range(options.kills):
            out = root / "killed"
            shutil.rmtree(out, ignore_errors=True)
            writing += kill_once(bids, out, rng, seconds, aim=number % 4 != 0)
            subprocess.run(command(bids, out), check=True, stdout=subprocess.DEVNULL)
            differing += tables(out) != wanted
    text = (
        f"{options.kills} kills, {writing} of them while files were being written: "
        f"{differing} second runs with tables that differ from an undisturbed run "
        f"({len(wanted)} tables, a run takes {seconds:.1f} s)"
    )
    print(text)
    if options.write:
        heading = "## Killed and started again\n\n`python benchmarks/restart.py --write`:\n"
        replace_section(DOCUMENT, "restart", f"{heading}{text}.")
    return int(differing > 0)


if __name__ == "__main__":
    sys.exit(main())
