"""What is analysed: preprocessed BOLD runs, or images that exist already."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bidsface.dataset.images import image_participant, list_images
from bidsface.dataset.indexing import IndexedFile, survey
from bidsface.dataset.matching import ParticipantIndex, participant_files
from bidsface.dataset.sidecars import Sidecars
from bidsface.errors import InputError
from bidsface.files import ParticipantFiles
from bidsface.recipe import Images, Inputs

FMRIPREP = "fmriprep"


@dataclass(frozen=True)
class RunSource(ABC):
    """The data set whose files are analysed, and what these are.

    Attributes
    ----------
    root : Path
    """

    root: Path

    @property
    @abstractmethod
    def name(self) -> str:
        """Name of the data set."""

    @property
    @abstractmethod
    def noun(self) -> str:
        """What one of the files is, for messages."""

    @property
    @abstractmethod
    def product(self) -> str:
        """What a participant without any file lacks, for messages."""

    @abstractmethod
    def survey(self, labels: Iterable[str]) -> list[IndexedFile]:
        """Return the files of participants that may be analysed, in every space."""

    @abstractmethod
    def candidates(self, index: ParticipantIndex) -> list[IndexedFile]:
        """Return those of one participant; InputError if there is none."""

    @abstractmethod
    def collect(
        self, index: ParticipantIndex, chosen: Sequence[IndexedFile], sidecars: Sidecars
    ) -> ParticipantFiles:
        """Return all files of one participant, given those that are chosen."""


class PreprocessedRuns(RunSource):
    """Runs that fMRIPrep preprocessed."""

    name = FMRIPREP
    noun = "preprocessed run"
    product = "fMRIPrep output"

    def survey(self, labels: Iterable[str]) -> list[IndexedFile]:
        """Return the preprocessed volumes of participants."""
        return survey(self.root, labels)

    def candidates(self, index: ParticipantIndex) -> list[IndexedFile]:
        """Return the preprocessed volumes of one participant."""
        return index.require_preprocessed()

    def collect(
        self, index: ParticipantIndex, chosen: Sequence[IndexedFile], sidecars: Sidecars
    ) -> ParticipantFiles:
        """Return runs with what belongs to them."""
        return participant_files(index, chosen, sidecars)


@dataclass(frozen=True)
class TrialImages(RunSource):
    """Images that exist already, one per trial.

    Attributes
    ----------
    images : Images
        Which of the images of the data set.
    """

    images: Images

    noun = "image"

    @property
    def name(self) -> str:
        """Name of the data set, as the recipe gives it."""
        return self.images.derivatives

    @property
    def product(self) -> str:
        """Name the data set."""
        return f"images in {self.name}"

    def survey(self, labels: Iterable[str]) -> list[IndexedFile]:
        """Return all images of participants."""
        return [file for label in labels for file in list_images(self.root, label).images]

    def candidates(self, index: ParticipantIndex) -> list[IndexedFile]:
        """Return all images of one participant."""
        files = list_images(self.root, index.label).images
        if not files:
            raise InputError(f"sub-{index.label}: no image (.nii, .nii.gz) in {self.root}")
        return list(files)

    def collect(
        self, index: ParticipantIndex, chosen: Sequence[IndexedFile], sidecars: Sidecars
    ) -> ParticipantFiles:
        """Return runs of images with what belongs to them."""
        own = list_images(self.root, index.label)
        return image_participant(index, own, chosen, self.images)


def analysed(inputs: Inputs) -> str:
    """Return the name of the data set that a recipe analyses."""
    return FMRIPREP if inputs.images is None else inputs.images.derivatives


def run_source(inputs: Inputs, roots: Mapping[str, Path]) -> RunSource:
    """Return what a recipe analyses."""
    root = roots[analysed(inputs)]
    return PreprocessedRuns(root) if inputs.images is None else TrialImages(root, inputs.images)
