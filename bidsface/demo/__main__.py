"""`bidsface-demo`: write a synthetic study, analyse it, and say where the report is."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bidsface import __version__
from bidsface.errors import BidsfaceError

USAGE_ERROR = 2
DEFAULT_RECIPE = "decode-tasks"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; those of the process if not given.

    Returns
    -------
    int
        0 done, 1 a participant failed, 2 usage error.
    """
    options = _parser().parse_args(argv)
    try:
        bids = _write(options)
    except BidsfaceError as error:
        print(f"bidsface-demo: {error}", file=sys.stderr)
        return USAGE_ERROR
    print(f"study: {bids}\ntruth: {options.directory / 'truth' / 'truth.json'}", flush=True)
    return 0 if options.write_only else _analyse(bids, options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bidsface-demo",
        description="Write a synthetic study with planted truth, analyse it with a recipe, and "
        "print where the report is.",
    )
    parser.add_argument("directory", type=Path, metavar="DIR", help="folder for the study")
    parser.add_argument("--study", choices=sorted(STUDIES), default="faces", help="which study")
    parser.add_argument(
        "--participants", type=_positive, default=8, metavar="N", help="participants (default 8)"
    )
    parser.add_argument(
        "--seed", type=_natural, default=20250101, metavar="N", help="seed (default 20250101)"
    )
    parser.add_argument(
        "--recipe",
        default=DEFAULT_RECIPE,
        metavar="NAME|FILE",
        help="recipe of the analysis (default %(default)s)",
    )
    parser.add_argument(
        "--nprocs", "--n-cpus", type=_positive, metavar="N", help="processes (default: all)"
    )
    parser.add_argument(
        "--write-only", action="store_true", help="write the study and do not analyse it"
    )
    parser.add_argument("--version", action="version", version=f"bidsface {__version__}")
    return parser


def _natural(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    return value


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is below 1")
    return value


def _faces(options: argparse.Namespace) -> Path:
    from bidsface.demo.faces import write_study

    return write_study(
        options.directory.resolve(),
        seed=options.seed,
        participants=options.participants,
        n_jobs=_processes(options),
    )


STUDIES: Mapping[str, Callable[[argparse.Namespace], Path]] = {"faces": _faces}


def _write(options: argparse.Namespace) -> Path:
    try:
        return STUDIES[options.study](options)
    except OSError as error:
        raise BidsfaceError(f"the study cannot be written: {error}") from error


def _processes(options: argparse.Namespace) -> int:
    from bidsface.execution import available_processors

    return int(options.nprocs or available_processors())


def _analyse(bids: Path, options: argparse.Namespace) -> int:
    """Run both levels on the study."""
    from bidsface.__main__ import main as bidsface

    # Results of several recipes may lie side by side, but not in one folder.
    name = "" if options.recipe == DEFAULT_RECIPE else f"-{Path(options.recipe).stem}"
    output = bids.parent / f"bidsface{name}"
    argv = [str(bids), str(output), "participant", "group", "--recipe", options.recipe]
    return bidsface([*argv, "--nprocs", str(_processes(options))])


if __name__ == "__main__":
    sys.exit(main())
