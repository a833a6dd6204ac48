"""`bidsface-demo`: write a synthetic study, analyse it, and say where the report is."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bidsface import __version__
from bidsface.errors import BidsfaceError

USAGE_ERROR = 2


@dataclass(frozen=True)
class Study:
    """A study that can be written and analysed.

    Attributes
    ----------
    write : callable
        Writes the study and returns its (main) raw data set.
    recipe : str
        What analyses it unless the user says otherwise.
    participants : int
        How many there are unless the user says otherwise.
    commands : callable
        Returns the arguments of every call of bidsface, one after the other, that the analysis
        takes: of the raw data set and the name of the output folder.
    settings : sequence of str
        Options of its own recipe that are set otherwise, so that a trial run does not take long.
    """

    write: Callable[[argparse.Namespace], Path]
    recipe: str
    participants: int
    commands: Callable[[Path, str], Sequence[Sequence[str]]]
    settings: Sequence[str] = ()


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
    parser.add_argument(
        "--study",
        choices=sorted(STUDIES),
        default="faces",
        help="which study (default %(default)s)",
    )
    parser.add_argument(
        "--participants",
        type=_positive,
        metavar="N",
        help=f"participants (default {_defaults('participants')})",
    )
    parser.add_argument(
        "--seed", type=_natural, default=20250101, metavar="N", help="seed (default 20250101)"
    )
    parser.add_argument(
        "--recipe",
        metavar="NAME|FILE",
        help=f"recipe of the analysis (default {_defaults('recipe')})",
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


def _defaults(attribute: str) -> str:
    """Return the studies' own values of an option, for the help text."""
    return ", ".join(f"{getattr(study, attribute)} for {name}" for name, study in STUDIES.items())


def _write_faces(options: argparse.Namespace) -> Path:
    from bidsface.demo.faces import write_study

    return write_study(
        options.directory.resolve(),
        seed=options.seed,
        participants=options.participants or STUDIES["faces"].participants,
        n_jobs=_processes(options),
    )


def _write_pain(options: argparse.Namespace) -> Path:
    from bidsface.demo.pain.study import write_study

    participants = options.participants or STUDIES["pain"].participants
    return write_study(
        options.directory.resolve(),
        seed=options.seed,
        participants=participants,
        second_participants=-(-participants * 3 // 5),
        n_jobs=_processes(options),
    )


def _write_film(options: argparse.Namespace) -> Path:
    from bidsface.demo.film.study import write_film_study

    return write_film_study(
        options.directory.resolve(),
        seed=options.seed,
        participants=options.participants or STUDIES["film"].participants,
        n_jobs=_processes(options),
    )


def _both_levels(bids: Path, output: str) -> list[list[str]]:
    """One call runs both levels."""
    return [[str(bids), str(bids.parent / output), "participant", "group"]]


def _with_second_data_set(bids: Path, output: str) -> list[list[str]]:
    """Both data sets' participants first; then the main one's group, which is given the other."""
    root = bids.parent
    main = [str(bids), str(root / output)]
    second = [str(root / "second/bids"), str(root / "second" / output)]
    return [
        [*main, "participant"],
        [*second, "participant"],
        [*main, "group", "--derivatives", f"second={second[1]}"],
    ]


FILM_SETTINGS = (
    # Runs of 240 s overlap by 16 s of the film.
    *(
        f"analyses.{analysis}.labels.segments=[{{start: 0, end: 240}}, {{start: 224, end: 464}}, "
        "{start: 448, end: 688}, {start: 672, end: 912}]"
        for analysis in ("consensus", "emotions")
    ),
    *(f"analyses.{analysis}.labels.minimum=20" for analysis in ("consensus", "emotions")),
    "analyses.emotions.labels.per_class=36",
    "analyses.emotions.training={epochs: 4, batch_size: 32, learning_rate: 2.0e-3, patience: null}",
    "analyses.emotions.folds={runs: null, participants: 3, random: 1}",
    # Voxels are large: a box of two of them moves by one, and ten boxes fill an emotion's places.
    "analyses.emotions.occlusion={box: 2, stride: 1, per_class: 12, above: 0.5, top: 10}",
)
"""Few volumes and epochs, so that the published network is trained in minutes."""

STUDIES: Mapping[str, Study] = {
    "faces": Study(_write_faces, "decode-tasks", 8, _both_levels),
    "pain": Study(
        _write_pain,
        "facs-regression",
        20,
        _with_second_data_set,
        [f"analyses.facs.{name}=1000" for name in ("permutations", "bootstraps")]
        + ["analyses.facs.covariates=[temperature]"],
    ),
    "film": Study(_write_film, "emotion-cnn", 6, _both_levels, FILM_SETTINGS),
}


def _write(options: argparse.Namespace) -> Path:
    try:
        return STUDIES[options.study].write(options)
    except OSError as error:
        raise BidsfaceError(f"the study cannot be written: {error}") from error


def _processes(options: argparse.Namespace) -> int:
    from bidsface.execution import available_processors

    return int(options.nprocs or available_processors())


def _analyse(bids: Path, options: argparse.Namespace) -> int:
    """Analyse the study; a participant that failed keeps nothing from being run."""
    from bidsface.__main__ import main as bidsface

    study = STUDIES[options.study]
    recipe = options.recipe or study.recipe
    # Results of several recipes may lie side by side, but not in one folder.
    output = "bidsface" if recipe == study.recipe else f"bidsface-{Path(recipe).stem}"
    settings = ["--set", *study.settings] if study.settings and recipe == study.recipe else []
    worst = 0
    for command in study.commands(bids, output):
        argv = [*command, "--recipe", recipe, "--nprocs", str(_processes(options)), *settings]
        worst = max(worst, bidsface(argv))
        if worst >= USAGE_ERROR:
            break
    return worst


if __name__ == "__main__":
    sys.exit(main())
