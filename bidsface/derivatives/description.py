"""The files at the root of the output: what it is, where it comes from, what to ignore."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bidsface import __version__
from bidsface.derivatives.names import NEW_SUFFIXES
from bidsface.errors import UsageError

CODE_URL = "https://github.com/bidsface/bidsface"
BIDS_VERSION = "1.11.1"

CONTAINER_VARIABLES = {
    "Type": "BIDSFACE_CONTAINER_TYPE",
    "Tag": "BIDSFACE_CONTAINER_TAG",
    "URI": "BIDSFACE_CONTAINER_URI",
}
"""Environment variables that the images of bidsface set."""

ALWAYS_IGNORED = ("figures", "*.html", "logs")
"""What even the validator with the schema extension has to ignore."""

README = """# bidsface derivatives

Analyses of facial expression that [bidsface](%s) computed from preprocessed fMRI data.

- `sub-*.html`, `group.html`: reports; start there.
- `sub-*/func`, `func`: statistical maps, scores, predictions and models, each with a JSON file that
  describes it and every column.
- `sub-*/anat`: the regions.
- `logs/CITATION.md`: a methods section of what was computed, with references.
- `.bidsface`: what makes a second run skip finished work. Removing it removes no result.
"""


def check_output_folder(root: Path, inputs: Mapping[str, Path]) -> None:
    """Refuse an output folder that is an input, a file, or other software's data set.

    Raises
    ------
    UsageError
        If results must not be written there.
    """
    for name, path in inputs.items():
        if root.resolve() == path.resolve():
            raise UsageError(
                f"the output folder {root} is the input data set {name}; choose another, such as "
                f"{path / 'derivatives' / 'bidsface'}"
            )
        if _in_participant_folder(root.resolve(), path.resolve()):
            raise UsageError(
                f"the output folder {root} lies among the participants of the input data set "
                f"{name}; choose another, such as {path / 'derivatives' / 'bidsface'}"
            )
    if root.exists() and not root.is_dir():
        raise UsageError(f"the output folder {root} is a file")
    makers = _makers(root / "dataset_description.json")
    if makers is not None and "bidsface" not in makers:
        raise UsageError(
            f"the output folder {root} holds a data set made by "
            f"{', '.join(makers) or 'an unknown program'}; choose a folder that is empty, new or "
            "bidsface's own"
        )


def _in_participant_folder(root: Path, dataset: Path) -> bool:
    return root.is_relative_to(dataset) and root.relative_to(dataset).parts[0].startswith("sub-")


def unwritable(root: Path, error: OSError) -> UsageError:
    """Return the error that says why an output folder cannot be written to."""
    return UsageError(f"cannot write to the output folder {root}: {error.strerror or error}")


def root_files(
    root: Path,
    roots: Mapping[str, Path],
    descriptions: Mapping[str, Mapping[str, Any]],
    links: Mapping[str, str],
) -> dict[str, str]:
    """Return the content of every file at the root by name."""
    content = dataset_description(root, roots, descriptions, links)
    return {
        "dataset_description.json": json.dumps(content, indent=2, ensure_ascii=False) + "\n",
        ".bidsignore": _bidsignore(root / ".bidsignore"),
        **({} if _has_readme(root) else {"README.md": README % CODE_URL}),
    }


def dataset_description(
    root: Path,
    roots: Mapping[str, Path],
    descriptions: Mapping[str, Mapping[str, Any]],
    links: Mapping[str, str],
) -> dict[str, Any]:
    """Return the content of ``dataset_description.json``.

    Parameters
    ----------
    root : Path
    roots, descriptions : mapping
        Input data sets, and their own descriptions, by name.
    links : mapping of str to str
        DOI or URL of inputs, where the user says so.
    """
    named = {name: dict(descriptions.get(name, {})) for name in roots}
    content: dict[str, Any] = {
        "Name": f"bidsface: {_study_name(named)}",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [_generated_by()],
        "HowToAcknowledge": "Please use the methods text and the references in logs/CITATION.md.",
    }
    optional = {
        "License": next((found["License"] for found in named.values() if "License" in found), None),
        "SourceDatasets": _source_datasets(named, links),
        "DatasetLinks": _dataset_links(root, roots, named, links),
    }
    return content | {key: value for key, value in optional.items() if value}


def _generated_by() -> dict[str, Any]:
    container = {
        key: os.environ[variable]
        for key, variable in CONTAINER_VARIABLES.items()
        if os.environ.get(variable)
    }
    record: dict[str, Any] = {"Name": "bidsface", "Version": __version__, "CodeURL": CODE_URL}
    return record | ({"Container": container} if container else {})


def _study_name(named: Mapping[str, Mapping[str, Any]]) -> str:
    names = (str(found["Name"]) for found in named.values() if found.get("Name"))
    return next(names, "analyses of facial expression")


def _source_datasets(
    named: Mapping[str, Mapping[str, Any]], links: Mapping[str, str]
) -> list[dict[str, str]]:
    """Return identifiers of the inputs: the user's, their own, then those of their sources."""
    found: list[dict[str, str]] = []
    for name, content in named.items():
        link = links.get(name) or content.get("DatasetDOI")
        if link:
            found.append({"URL" if str(link).startswith("http") else "DOI": str(link)})
        for source in content.get("SourceDatasets") or ():
            known = {key: str(source[key]) for key in ("DOI", "URL", "Version") if source.get(key)}
            if any(not _is_local(value) for value in known.values()):
                found.append({key: value for key, value in known.items() if not _is_local(value)})
    return [entry for position, entry in enumerate(found) if entry not in found[:position]]


def _dataset_links(
    root: Path,
    roots: Mapping[str, Path],
    named: Mapping[str, Mapping[str, Any]],
    links: Mapping[str, str],
) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, path in roots.items():
        link = links.get(name) or _relative(path, root) or named[name].get("DatasetDOI")
        if link:
            found[name] = str(link)
    # Results of an earlier call may cite a data set that this one was not given.
    earlier = _earlier_links(root / "dataset_description.json")
    return found | {name: link for name, link in earlier.items() if name not in roots}


def _earlier_links(path: Path) -> dict[str, str]:
    try:
        return {name: str(link) for name, link in _content(path).get("DatasetLinks", {}).items()}
    except (OSError, ValueError, AttributeError):
        return {}


def _relative(path: Path, root: Path) -> str | None:
    """Return the path from the output to an input where it holds outside this machine too.

    That is so where nothing is mounted between them: inside a container, ``/data`` and ``/out``
    are neighbours only for the time of the run.
    """
    there, here = path.resolve(), root.resolve()
    common = Path(os.path.commonpath([there, here]))
    if (
        common == Path(common.anchor)
        or _crosses_mount(there, common)
        or _crosses_mount(here, common)
    ):
        return None
    return Path(os.path.relpath(there, here)).as_posix()


def _crosses_mount(path: Path, ancestor: Path) -> bool:
    return any(
        step.is_mount()
        for step in (path, *path.parents)
        if step.is_relative_to(ancestor) and step != ancestor
    )


def _is_local(value: str) -> bool:
    return value.startswith(("/", "file:", "."))


def _bidsignore(path: Path) -> str:
    """Return the lines of ours after whatever the user has added."""
    ours = [*ALWAYS_IGNORED, *(f"*_{suffix}.*" for suffix in NEW_SUFFIXES)]
    theirs = path.read_text().splitlines() if path.is_file() else []
    return "\n".join([*theirs, *(line for line in ours if line not in theirs)]) + "\n"


def _has_readme(root: Path) -> bool:
    return any((root / f"README{ending}").exists() for ending in ("", ".md", ".rst", ".txt"))


def _content(path: Path) -> Any:
    return json.loads(path.read_text())


def _makers(path: Path) -> list[str] | None:
    """Return the names in GeneratedBy; None where there is no data set yet."""
    if not path.exists():
        return None
    try:
        content = _content(path)
        return [str(entry.get("Name")) for entry in content.get("GeneratedBy", ())]
    except (OSError, ValueError, AttributeError):
        return []
