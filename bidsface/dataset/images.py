"""Images that exist already, in any derivative data set: listing them and making runs of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bidsface.dataset.filters import SPACE_KEYS, Constraint, spelled
from bidsface.dataset.indexing import IndexedFile
from bidsface.dataset.matching import (
    ParticipantIndex,
    brain_mask,
    events_file,
    grey_matter_map,
    raw_entities,
    run_order,
    segmentation_files,
)
from bidsface.dataset.sidecars import inherited
from bidsface.entities import (
    SHORT_KEYS,
    every_entity,
    in_order,
    is_subset,
    joined,
    name_key,
    strip_prefix,
    without,
)
from bidsface.errors import InputError
from bidsface.files import ParticipantFiles, Run
from bidsface.recipe import Images

RUN_KEYS = ("ses", "task", "acq", "ce", "rec", "dir", "run", "echo", "part")
"""Entities of a run that was measured; what else differs between images are images of one run."""

ORIGIN = "the recipe's inputs.images.filters"
BRAIN_MASKS = (None, "brain")
"""Labels of ``desc-`` that the mask of a whole run may have."""


@dataclass(frozen=True)
class ImageFiles:
    """What a data set of images holds of one participant.

    Attributes
    ----------
    root : Path
    images : tuple of IndexedFile
        Volume images, masks among them; ``entities`` are all that their names say.
    tables : tuple of IndexedFile
        Its events.tsv, those at the root among them.
    """

    root: Path
    images: tuple[IndexedFile, ...]
    tables: tuple[IndexedFile, ...]


def list_images(root: Path, label: str) -> ImageFiles:
    """List the images of a participant, however deep they lie (FitLins has no ``func`` folder)."""
    folder = root / f"sub-{label}"
    named = (_named(path) for path in sorted(folder.rglob("*.nii*")))
    tables = sorted((*root.glob("*_events.tsv"), *folder.rglob("*_events.tsv")))
    return ImageFiles(
        root,
        tuple(file for file in named if file.is_image),
        tuple(IndexedFile.named(path) for path in tables),
    )


def _named(path: Path) -> IndexedFile:
    file = IndexedFile.named(path)
    return IndexedFile(path, every_entity(path.name), file.suffix, file.extension)


def image_constraints(images: Images) -> tuple[Constraint, ...]:
    """Return what the recipe's filters ask of an image."""
    return tuple(
        Constraint(
            SHORT_KEYS.get(key, key),
            tuple(None if label is None else strip_prefix(key, str(label)) for label in labels),
            ORIGIN,
            each=False,
        )
        for key, labels in images.wanted.items()
    )


def image_participant(
    index: ParticipantIndex, own: ImageFiles, chosen: Sequence[IndexedFile], images: Images
) -> ParticipantFiles:
    """Collect everything that is read for a participant whose samples are images.

    Parameters
    ----------
    index : ParticipantIndex
        The raw data set, for events, and fMRIPrep's output where there is one, for masks,
        segmentations and grey matter.
    own : ImageFiles
    chosen : sequence of IndexedFile
        The images to use, all in one space.
    images : Images

    Raises
    ------
    InputError
        If images of a run differ in more than their own entity, or no run can be used.
    """
    entity = SHORT_KEYS.get(images.entity, images.entity)
    runs, notes = [], []
    found = _by_run(index.label, chosen, entity)
    for entities, files in sorted(found, key=lambda run: run_order(run[0])):
        _refuse_mixture(files, entity)
        events = _events(index, own, entities) if images.events else None
        if images.events and events is None:
            name = joined(without(entities, ["sub"]))
            notes.append(f"left out: {name}: no events.tsv applies to its images")
            continue
        runs.append(_run(index, own, entities, files, events))
    if not runs:
        raise InputError(
            f"sub-{index.label}: no usable run of images; {'; '.join(notes)} "
            "(inputs.images.events: false takes classes from the names of images)"
        )
    grey_matter, more = grey_matter_map(index, runs)
    return ParticipantFiles(index.label, tuple(runs), grey_matter, (*notes, *more))


def _by_run(
    label: str, files: Iterable[IndexedFile], entity: str
) -> Iterable[tuple[dict[str, str], list[IndexedFile]]]:
    """Return the entities and the images of every run, images in the order of their names."""
    keys = [key for key in (*RUN_KEYS, *SPACE_KEYS) if key != entity]
    runs: dict[str, tuple[dict[str, str], list[IndexedFile]]] = {}
    for file in sorted(files, key=lambda file: name_key(file.path.name)):
        if "task" not in file.entities:
            raise InputError(f"{file.path}: an image needs the entity task- in its name")
        own = {key: file.entities[key] for key in keys if key in file.entities}
        entities = in_order({"sub": label, **own})
        runs.setdefault(joined(entities), (entities, []))[1].append(file)
    return runs.values()


def _refuse_mixture(files: Sequence[IndexedFile], entity: str) -> None:
    """Refuse images of one run that are not of different trials alone."""
    keys = dict.fromkeys(key for file in files for key in file.entities if key != entity)
    for key in keys:
        labels = {file.entities.get(key) for file in files}
        if len(labels) > 1:
            raise InputError(
                f"{files[0].path}: the images of its run differ in {key} "
                f"({spelled(labels, key)}), not in {entity} alone; choose one in "
                "inputs.images.filters, or name the entity of trials as inputs.images.entity"
            )
    first: dict[str | None, Path] = {}
    for file in files:
        twin = first.setdefault(file.entities.get(entity), file.path)
        if twin != file.path:
            raise InputError(
                f"{twin} and {file.path}: are one image by the entities of their names"
            )


def _run(
    index: ParticipantIndex,
    own: ImageFiles,
    entities: Mapping[str, str],
    files: Sequence[IndexedFile],
    events: Path | None,
) -> Run:
    paths = tuple(file.path for file in files)
    return Run(
        bold=paths[0],
        entities=entities,
        repetition_time=float("nan"),
        mask=_own_mask(own, entities) or _fmriprep_mask(index, entities),
        events=events,
        segmentations=segmentation_files(index, entities),
        images=paths,
    )


def _events(index: ParticipantIndex, own: ImageFiles, entities: Mapping[str, str]) -> Path | None:
    """Return the nearest events file: of the raw data set, else beside the images, else fMRIPrep's.

    Like those of a preprocessed run it may be inherited.
    """
    raw = events_file(index, entities)
    if raw is not None:
        return raw
    found = inherited(own.root, raw_entities(entities), "events", ".tsv", own.tables)
    return found[-1].path if found else None


def _own_mask(own: ImageFiles, entities: Mapping[str, str]) -> Path | None:
    """Return the mask beside the images whose entities are most of the run's, if there is one."""
    masks = [
        file
        for file in own.images
        if file.suffix == "mask"
        and file.entities.get("desc") in BRAIN_MASKS
        and is_subset(without(file.entities, ["desc"]), entities)
        and all(file.entities.get(key) == entities.get(key) for key in SPACE_KEYS)
    ]
    nearest = sorted(masks, key=lambda file: (len(file.entities), file.path))
    return nearest[-1].path if nearest else None


def _fmriprep_mask(index: ParticipantIndex, entities: Mapping[str, str]) -> Path | None:
    """Return fMRIPrep's mask of the run, of any resolution where the images do not tell theirs.

    FitLins leaves ``res-`` out of the names of its images.
    """
    known = {file.entities["res"] for file in index.fmriprep if "res" in file.entities}
    others = sorted(known) if "res" not in entities else []
    tried = (entities, *({**entities, "res": resolution} for resolution in others))
    return next((mask for one in tried if (mask := brain_mask(index, one)) is not None), None)
