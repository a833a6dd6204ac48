"""The flags of ``bidsface``, spelled as in fMRIPrep, XCP-D and MRIQC."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bidsface import __version__
from bidsface.argument_values import gigabytes, label, megabytes, positive

DEVICES = ("auto", "cpu", "cuda")


def hyphenated(argv: Sequence[str]) -> list[str]:
    """Spell flags with hyphens: ``--participant_label`` means ``--participant-label``."""
    return [_hyphenated(argument) if argument.startswith("--") else argument for argument in argv]


def _hyphenated(argument: str) -> str:
    flag, separator, value = argument.partition("=")
    return flag.replace("_", "-") + separator + value


class Inform(argparse.Action):
    """Print something and exit, without asking for the positional arguments."""

    def __init__(
        self, option_strings: Sequence[str], dest: str, text: Callable[[], str], help: str
    ) -> None:
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, help=help)
        self.text = text

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        """Print the text and exit with status 0, or 2 if a plugin or a recipe is at fault."""
        from bidsface.errors import BidsfaceError

        try:
            print(self.text())
        except BidsfaceError as error:
            parser.exit(2, f"bidsface: error: {error}\n")
        parser.exit(0)


def _plugins_text() -> str:
    from bidsface.listings import plugins_text

    return plugins_text()


def _recipes_text() -> str:
    from bidsface.listings import recipes_text

    return recipes_text()


def _schema_text() -> str:
    from bidsface.listings import schema_text

    return schema_text()


def build_parser() -> argparse.ArgumentParser:
    """Return the parser; most of its destinations are fields of ``Settings``."""
    parser = argparse.ArgumentParser(
        prog="bidsface",
        usage="bidsface BIDS_DIR OUTPUT_DIR {participant,group}... [options]",
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=34, width=100),
        description="Decoding and related analyses of facial expression from fMRIPrep output.",
        epilog="Example: bidsface /data/bids /data/bids/derivatives/bidsface participant group",
        allow_abbrev=False,
    )
    parser.add_argument(
        "bids_dir", type=Path, help="raw BIDS data set (or a derivative one that carries events)"
    )
    parser.add_argument(
        "output_dir", type=Path, help="folder of the results, a BIDS derivative data set"
    )
    parser.add_argument(
        "levels",
        metavar="{participant,group}",
        nargs="+",
        choices=("participant", "group"),
        help="level of the analysis; both may be given",
    )
    parser.add_argument("--version", action="version", version=f"bidsface {__version__}")
    for add in (_add_selection, _add_recipe, _add_resources, _add_running):
        add(parser)
    return parser


def _add_selection(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("which data (labels with or without their prefix)")
    several: dict[str, Any] = {"nargs": "+", "default": (), "metavar": "L"}
    group.add_argument(
        "--participant-label", type=label("sub"), help="only these participants", **several
    )
    group.add_argument("--session-label", type=label("ses"), help="only these sessions", **several)
    group.add_argument("-t", "--task-id", type=label("task"), help="only these tasks", **several)
    group.add_argument("--run", type=label("run"), help="only these runs", **several)
    group.add_argument(
        "--space",
        type=label("space"),
        nargs=1,
        default=(),
        metavar="SPACE",
        help="space of the BOLD data: MNI152NLin2009cAsym, MNI152NLin2009cAsym:res-2, native...",
    )
    group.add_argument(
        "--bids-filter-file",
        type=Path,
        metavar="FILE",
        help='JSON of pybids filters: {"bold": {"acquisition": "x"}}',
    )
    group.add_argument(
        "-d",
        "--derivatives",
        "--datasets",
        nargs="+",
        default=(),
        metavar="NAME=PATH",
        help="derivative data sets; fmriprep=PATH (or a bare PATH) is the one that is analysed "
        "[BIDS_DIR/derivatives/fmriprep]; outputs of bidsface for other studies (second=PATH) go "
        "to the group level of analyses that test on them",
    )
    group.add_argument(
        "--dataset-links",
        nargs="+",
        default=(),
        metavar="NAME=URI",
        help="DOI or URL of input data sets (raw, fmriprep, ...) for dataset_description.json",
    )
    group.add_argument(
        "--bids-database-dir",
        type=Path,
        metavar="DIR",
        help="keep pybids' index of the data set here and use it again",
    )
    group.add_argument("--bids-database-wipe", action="store_true", help="make that index anew")
    group.add_argument(
        "--skip-bids-validation",
        action="store_true",
        help="accept data sets without a dataset_description.json",
    )


def _add_recipe(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("which analyses")
    group.add_argument(
        "--recipe",
        default="decode-tasks",
        metavar="NAME|FILE",
        help="shipped recipe or YAML file [%(default)s]",
    )
    group.add_argument(
        "--analysis",
        nargs="+",
        default=(),
        metavar="NAME",
        help="only these analyses of the recipe",
    )
    group.add_argument(
        "--set",
        dest="overrides",
        action="extend",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="override recipe keys: analyses.within.permutations=5000",
    )
    group.add_argument(
        "--random-seed",
        type=int,
        default=20250101,
        metavar="N",
        help="seed of every random stream [%(default)s]",
    )
    group.add_argument(
        "--list-recipes",
        action=Inform,
        text=_recipes_text,
        help="list the shipped recipes and exit",
    )
    group.add_argument(
        "--list-plugins",
        action=Inform,
        text=_plugins_text,
        help="list plugins and what they add, and exit",
    )
    group.add_argument(
        "--recipe-schema",
        action=Inform,
        text=_schema_text,
        help="print the JSON Schema of recipes and exit",
    )


def _add_resources(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("resources")
    group.add_argument(
        "--nprocs",
        "--n-cpus",
        "--nthreads",
        type=positive,
        metavar="N",
        help="processes [all that this job may use]",
    )
    group.add_argument(
        "--omp-nthreads",
        type=positive,
        default=1,
        metavar="N",
        help="BLAS threads of each process [%(default)s]",
    )
    group.add_argument(
        "--mem",
        "--mem-mb",
        dest="memory_mb",
        type=megabytes,
        metavar="MB",
        help="memory: 16g, or a number of MB",
    )
    group.add_argument(
        "--mem-gb", dest="memory_mb", type=gigabytes, metavar="GB", help="memory in GB"
    )
    group.add_argument(
        "--device",
        choices=DEVICES,
        default="auto",
        help="where searchlights are computed; auto: on a GPU if there is one and PyTorch is "
        "installed [%(default)s]",
    )
    group.add_argument(
        "--dask-scheduler",
        metavar="ADDRESS",
        help="send participants to this dask cluster, such as tcp://host:8786",
    )
    group.add_argument(
        "-w", "--work-dir", type=Path, metavar="DIR", help="folder of temporary files and caches"
    )
    group.add_argument(
        "--clean-workdir", action="store_true", help="first remove what bidsface left there"
    )


def _add_running(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("running")
    group.add_argument("--force", action="store_true", help="compute again what is up to date")
    group.add_argument(
        "--dry-run", action="store_true", help="say what would run on which files, and stop"
    )
    group.add_argument(
        "--reports-only", action="store_true", help="write the reports anew from finished results"
    )
    group.add_argument(
        "--boilerplate-only",
        action="store_true",
        help="write the methods text anew from finished results",
    )
    group.add_argument(
        "--config-file",
        type=Path,
        metavar="FILE",
        help="take the settings of an earlier run (logs/config-*.json); flags given now win",
    )
    group.add_argument(
        "--stop-on-first-crash", action="store_true", help="stop when the first participant fails"
    )
    group.add_argument("--debug", action="store_true", help="show tracebacks")
    group.add_argument(
        "-v",
        "--verbose",
        dest="verbosity",
        action="count",
        default=0,
        help="say more; twice for the libraries' messages too",
    )
    group.add_argument(
        "--notrack", action="store_true", help="accepted for compatibility: nothing is ever tracked"
    )
    group.add_argument(
        "--fs-license-file",
        type=Path,
        metavar="FILE",
        help="accepted for compatibility: FreeSurfer is not used",
    )
