"""The folders that a run reads: the raw data set and its derivatives."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bidsface.dataset.sidecars import read_json
from bidsface.entities import listing, natural_key, strip_prefix
from bidsface.errors import InputError, UsageError
from bidsface.settings import Settings

DESCRIPTION = "dataset_description.json"
OWN_MAKER = "bidsface"
"""How bidsface names itself in the descriptions of its output."""


def find_roots(
    settings: Settings, analysed: str = "fmriprep"
) -> tuple[dict[str, Path], dict[str, dict[str, Any]]]:
    """Return the data sets by name, and their descriptions.

    Parameters
    ----------
    settings : Settings
    analysed : str
        Name of the data set whose files are analysed; fMRIPrep's, where it is another one, is
        found where it can be.
    """
    bids_dir = absolute(settings.bids_dir)
    if not bids_dir.is_dir():
        raise InputError(f"BIDS_DIR {bids_dir}: there is no such folder")
    if "raw" in settings.derivatives:
        raise UsageError("--derivatives: the name 'raw' stands for BIDS_DIR itself")
    description = _describe(bids_dir, settings.skip_bids_validation)
    given = {name: absolute(path) for name, path in settings.derivatives.items()}
    for name, path in given.items():
        if not path.is_dir():
            raise InputError(f"--derivatives {name}={path}: there is no such folder")
    derivatives = bids_dir / "derivatives"
    if analysed not in given:
        given = {analysed: _default_root(bids_dir, description, derivatives / analysed), **given}
    if "fmriprep" not in given and (derivatives / "fmriprep").is_dir():
        given["fmriprep"] = derivatives / "fmriprep"
    roots = given if given[analysed] == bids_dir else {"raw": bids_dir, **given}
    lenient = {name for name in roots if name != "fmriprep"}
    descriptions = {
        name: description
        if path == bids_dir
        else _describe(path, settings.skip_bids_validation or name in lenient)
        for name, path in roots.items()
    }
    if "fmriprep" in roots:
        _refuse_results(roots["fmriprep"], descriptions["fmriprep"])
    return roots, descriptions


def makers(description: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the programs that made a data set, as its description says."""
    entries = description.get("GeneratedBy")
    if not isinstance(entries, list):
        return ()
    return tuple(str(entry.get("Name")) for entry in entries if isinstance(entry, dict))


def _refuse_results(root: Path, description: Mapping[str, Any]) -> None:
    if OWN_MAKER in makers(description):
        raise UsageError(
            f"{root} holds results of bidsface, not preprocessed runs: name fMRIPrep's output, "
            "--derivatives fmriprep=PATH; results of another data set get a name of their own, "
            f"--derivatives second={root}"
        )


def participant_labels(root: Path) -> list[str]:
    """Return the labels of a data set's participant folders, in natural order.

    Folders such as ``sub-01_old``, which are no BIDS participants, are passed over.
    """
    with os.scandir(root) as entries:
        labels = [
            strip_prefix("sub", entry.name)
            for entry in entries
            if re.fullmatch("sub-[0-9a-zA-Z]+", entry.name) and entry.is_dir()
        ]
    return sorted(labels, key=natural_key)


def subfolders(folder: Path) -> str:
    """List the folders in a folder, for a message."""
    if not folder.is_dir():
        return "nothing (there is no such folder)"
    return listing(path.name for path in folder.iterdir() if path.is_dir())


def absolute(path: Path) -> Path:
    """Make a path absolute and drop ``..``, but leave links as they are."""
    return Path(os.path.abspath(path))  # noqa: PTH100


def is_within(path: Path, folder: Path) -> bool:
    """Tell whether a path is a folder or lies in it, links resolved."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def _default_root(bids_dir: Path, description: Mapping[str, Any], default: Path) -> Path:
    """Return the data set to analyse, such as fMRIPrep's output, that no option names."""
    if default.is_dir():
        return default
    if description.get("DatasetType") == "derivative":
        return bids_dir
    name = default.name
    wanted = "fMRIPrep output" if name == "fmriprep" else f"data set {name} (inputs.images)"
    raise UsageError(
        f"no {wanted}: there is no {default}, and --derivatives {name}=PATH was not "
        f"given; {default.parent} has: {subfolders(default.parent)}"
    )


def _describe(root: Path, lenient: bool) -> dict[str, Any]:
    """Read a data set's description; lenient: it may be missing."""
    path = root / DESCRIPTION
    if not path.exists() and not path.is_symlink():
        if lenient:
            return {}
        raise InputError(
            f"{path} is missing: {root} is not the root of a BIDS data set "
            "(--skip-bids-validation reads it all the same)"
        )
    return read_json(path)
