"""The command line: argv to Settings, messages to the terminal, the exit status."""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bidsface.arguments import build_parser, hyphenated
from bidsface.configuration import replayed
from bidsface.errors import BidsfaceError, UsageError
from bidsface.settings import Settings

INTERRUPTED = 130

CACHES = (
    "TMPDIR",
    "JOBLIB_TEMP_FOLDER",
    "MPLCONFIGDIR",
    "NUMBA_CACHE_DIR",
    "DASK_TEMPORARY_DIRECTORY",
)
"""Where Python and the libraries put what they need for a while."""


def run_command(argv: Sequence[str]) -> int:
    """Parse a command line, run it, and return the exit status."""
    parser = build_parser()
    try:
        settings = read_settings(parser, hyphenated(argv))
        _use_work_dir(settings)
    except UsageError as error:
        return _usage(str(error))
    except SystemExit as leaving:  # argparse: --help, --version and its own usage errors
        return _printed(leaving.code if isinstance(leaving.code, int) else 2)
    except BrokenPipeError:
        return _printed(0)
    return _run(settings)


def _printed(code: int) -> int:
    """Return the status of a listing; a reader that has seen enough, such as head, is no error."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # What is left in the buffer would fail once more when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _run(settings: Settings) -> int:
    from bidsface.app import run
    from bidsface.console import make_console

    console = make_console(settings.verbosity)
    logging.basicConfig(level=logging.INFO if settings.verbosity > 1 else logging.ERROR)
    try:
        with console:
            outcome = run(settings, console)
    except BidsfaceError as error:
        _debug_traceback(settings)
        return _usage(str(error))
    except Exception as error:
        return _defect(error, settings)
    except KeyboardInterrupt:
        _say(
            "bidsface: interrupted; what was finished is kept, the same command goes on from there"
        )
        return INTERRUPTED
    _say(f"bidsface: {outcome.message}")
    return outcome.code


def _use_work_dir(settings: Settings) -> None:
    """Send temporary files and matplotlib's cache to the work folder before anything uses them.

    Raises
    ------
    UsageError
        If the folder lies in the input or cannot be made.
    """
    work_dir = settings.work_dir
    if work_dir is None:
        return
    inputs = (settings.bids_dir, *settings.derivatives.values())
    inside = any(work_dir.resolve().is_relative_to(folder) for folder in inputs)
    if inside and not work_dir.resolve().is_relative_to(settings.output_dir):
        raise UsageError(f"--work-dir {work_dir} lies in the input, which is never written to")
    own = work_dir.resolve() / "bidsface"
    try:
        if settings.clean_workdir and own.is_dir():
            shutil.rmtree(own)
        own.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--work-dir {work_dir} cannot be written to: {error}") from error
    for variable in CACHES:
        os.environ[variable] = str(own)


def _debug_traceback(settings: Settings) -> None:
    if settings.debug:
        traceback.print_exc()


def _defect(error: Exception, settings: Settings) -> int:
    """Write the traceback of a defect of bidsface's own to a file and say where it is."""
    _debug_traceback(settings)
    name = f"crash-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    logs = settings.output_dir / "logs"
    path = (logs if logs.is_dir() else Path(tempfile.gettempdir())) / name
    where = f"please report it with {path}"
    try:
        path.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    except OSError:  # a full disk, which may be the very reason
        where = "the traceback could not be written, --debug shows it"
    _usage(f"unexpected {type(error).__name__}: {error}; {where}")
    return 1


def _usage(message: str) -> int:
    print(f"bidsface: error: {message}", file=sys.stderr)
    return 2


def _say(message: str) -> None:
    print(message, flush=True)


def read_settings(parser: argparse.ArgumentParser, argv: Sequence[str]) -> Settings:
    """Turn arguments into settings.

    Raises
    ------
    UsageError
        If a value cannot be understood or a file of settings cannot be read.
    """
    values = vars(parser.parse_args(argv))
    earlier = _json_object(values["config_file"], "--config-file")
    if values["config_file"] is not None:
        # Earlier settings become defaults, so that flags given now still win.
        parser.set_defaults(**replayed(earlier, values["config_file"]))
        values = vars(parser.parse_args(argv))
    for name in ("config_file", "notrack", "fs_license_file"):
        values.pop(name)
    filter_file = values.pop("bids_filter_file")
    filters = (
        earlier.get("bids_filters", {})
        if filter_file is None
        else _json_object(filter_file, "--bids-filter-file")
    )
    return Settings(
        **_frozen(values),
        bids_filters=filters,
        command=("bidsface", *argv),
    )


def _frozen(values: dict[str, Any]) -> dict[str, Any]:
    from bidsface.execution import available_processors

    values["bids_dir"] = values["bids_dir"].resolve()
    values["output_dir"] = values["output_dir"].resolve()
    values["levels"] = tuple(dict.fromkeys(values["levels"]))
    values["derivatives"] = _named_paths(values["derivatives"])
    values["dataset_links"] = _named_links(values["dataset_links"])
    values["nprocs"] = values["nprocs"] or available_processors()
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }


def _named_paths(texts: Sequence[str]) -> dict[str, Path]:
    """Read NAME=PATH or PATH: the first bare path is fMRIPrep's, others get their folder's name."""
    found: dict[str, Path] = {}
    for text in texts:
        name, separator, path = text.partition("=")
        if not separator:
            name, path = ("fmriprep" if "fmriprep" not in found else Path(text).name), text
        if name in found:
            raise UsageError(f"--derivatives: {name} is given twice; name them NAME=PATH")
        if not Path(path).is_dir():
            raise UsageError(f"--derivatives {text}: there is no folder {path}")
        found[name] = Path(path).resolve()
    return found


def _named_links(texts: Sequence[str]) -> dict[str, str]:
    links = {}
    for text in texts:
        name, separator, link = text.partition("=")
        if not separator or not link:
            raise UsageError(f"--dataset-links {text}: wanted NAME=DOI or NAME=URL")
        links[name] = link
    return links


def _json_object(path: Path | None, flag: str) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{flag} {path} cannot be read as JSON: {error}") from error
    if not isinstance(content, dict):
        raise UsageError(f"{flag} {path} must hold a JSON object")
    return content
