"""Time and memory of finding one participant's files in a large fMRIPrep output.

    python benchmarks/open_dataset.py [--participants 1000] [--folder DIR] [--write]

Writes a fake data set (160 fMRIPrep files per participant; a temporary folder that is removed
afterwards unless --folder is given, which is kept and reused) and opens it in fresh processes, so
that the import of pybids counts. Prints the median wall and processor time
and the peak resident memory of --repeats processes per case; --write puts them into
docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from sections import replace_section
from trees import MNI, Tree

DOCUMENT = Path(__file__).parents[1] / "docs" / "performance.md"

LARGE = Tree(
    tasks=("display", "observe"),
    runs=("1", "2", "3"),
    spaces=(MNI, "T1w"),
    surfaces=True,
    figures=11,
    html=True,
)
SMALL = Tree(tasks=("display",), runs=("1", "2", "3", "4"), figures=2)

OPEN = """
import json, resource, sys, time
begun = time.perf_counter()
from pathlib import Path
from bidsface.dataset import open_dataset
from bidsface.recipe import Inputs
from bidsface.settings import Settings

folder, database, labels = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
settings = Settings(
    folder / "bids",
    folder / "output",
    ("participant",),
    participant_label=tuple(labels),
    bids_database_dir=Path(database) if database else None,
)
dataset = open_dataset(settings, Inputs())
files = dataset.files(dataset.participants)
seconds = time.perf_counter() - begun
runs = sum(len(found.runs) for found in files.values())
usage = resource.getrusage(resource.RUSAGE_SELF)
processor = usage.ru_utime + usage.ru_stime
memory = usage.ru_maxrss / 1024
result = {"seconds": seconds, "processor": processor, "mebibytes": memory, "runs": runs}
print(json.dumps(result))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--participants", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="write docs/performance.md")
    parser.add_argument("--folder", type=Path, help="keep the data sets here and reuse them")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        large = write_tree(folder / f"large{arguments.participants}", LARGE, arguments.participants)
        small = write_tree(folder / "small", SMALL, 8)
        database = str(Path(temporary) / "database")
        one = ["0500" if arguments.participants >= 500 else "0001"]
        rows = [
            report("1 participant", large, "", one, arguments.repeats),
            report("20 participants", large, "", labels(20), arguments.repeats),
            report("all of 8 participants of a small set", small, "", [], arguments.repeats),
            report("building the database", large, database, one, 1),
            report("1 participant, from the database", large, database, one, arguments.repeats),
        ]
    if arguments.write:
        replace_section(DOCUMENT, "open_dataset", section(arguments.participants, rows))


def write_tree(folder: Path, tree: Tree, participants: int) -> Path:
    """Write a data set, unless it is there; print its size."""
    kept = folder / "complete"
    begun = time.perf_counter()
    if not kept.exists():
        tree.__class__(**{**vars(tree), "participants": labels(participants)}).write(folder)
        kept.touch()
    fmriprep = folder / "bids/derivatives/fmriprep"
    files = [path for path in fmriprep.glob("sub-0001*/**/*") if path.is_file()]
    per_participant = len(files) + int(tree.html)
    seconds = time.perf_counter() - begun
    print(
        f"{participants} participants with {per_participant} fMRIPrep files each "
        f"(written in {seconds:.0f} s)",
        flush=True,
    )
    return folder


def labels(count: int) -> list[str]:
    """Return participant labels."""
    return [f"{number:04d}" for number in range(1, count + 1)]


def section(participants: int, rows: list[str]) -> str:
    """Return the section of the document."""
    return "\n".join(
        [
            "## Finding the files of a participant",
            "",
            f"fMRIPrep output of {participants:,} participants with 160 files each, in fresh",
            "processes that import pybids first;",
            "`python benchmarks/open_dataset.py --write` measures it again.",
            "",
            "| opened | wall (s) | processor (s) | peak memory (MiB) |",
            "| --- | --- | --- | --- |",
            *rows,
        ]
    )


def report(name: str, folder: Path, database: str, wanted: list[str], repeats: int) -> str:
    """Open the data set in fresh processes; print median time and largest memory as a table row."""
    command = [sys.executable, "-c", OPEN, str(folder), database, *wanted]
    measured = [
        json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        for _ in range(repeats)
    ]
    seconds = statistics.median(result["seconds"] for result in measured)
    processor = statistics.median(result["processor"] for result in measured)
    memory = max(result["mebibytes"] for result in measured)
    row = f"| {name} | {seconds:.2f} | {processor:.2f} | {memory:.0f} |"
    print(f"{row} {measured[0]['runs']} runs found", flush=True)
    return row


if __name__ == "__main__":
    main()
