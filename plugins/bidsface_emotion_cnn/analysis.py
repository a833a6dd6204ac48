"""The analysis ``emotion-cnn``: a network over volumes, what it knows, and where it looks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from bidsface.analysis import (
    Analysis,
    AnalysisOptions,
    Participant,
    ParticipantResults,
    Results,
    RunSize,
    refuse_unknown,
)
from bidsface.errors import InputError, RecipeError, UsageError
from bidsface_emotion_cnn.label_options import annotation_paths, check_labels
from bidsface_emotion_cnn.options import EmotionOptions

NEEDED = {"torch": "PyTorch", "umap": "umap-learn", "safetensors": "safetensors"}
"""Modules of the extra, and what people call them."""


class EmotionCnn(Analysis):
    """Classes of volumes by a 3-D network, evaluated on held-out runs and participants."""

    name: ClassVar[str] = "emotion-cnn"
    Options: ClassVar[type[AnalysisOptions]] = EmotionOptions
    needs_time_series: ClassVar[bool] = True

    def files_used(self, options: EmotionOptions) -> Sequence[Path]:
        """Return the annotations, and the files of the atlas."""
        labels = annotation_paths(options.labels, self.bids_dir)
        if options.atlas is None:
            return labels
        from bidsface.anatomy import atlas_files

        return [*labels, *atlas_files(options.atlas, options.atlas_labels)]

    def check(
        self, options: EmotionOptions, samples: Collection[str], regions: Collection[str]
    ) -> None:
        """Refuse regions and layers that do not exist, unreadable files, and a missing extra."""
        refuse_unknown("regions", options.regions, regions)
        check_labels(options.labels, self.bids_dir)
        missing = [name for module, name in NEEDED.items() if find_spec(module) is None]
        if missing:
            raise RecipeError(
                f"emotion-cnn needs {', '.join(missing)}: pip install 'bidsface[cnn]'"
            )
        _check_atlas(options)
        _check_layers(options)

    def volumes_kept(self, options: EmotionOptions, runs: Sequence[RunSize]) -> int:
        """Return how many labelled volumes there are at most; see `volume_counts`."""
        from bidsface_emotion_cnn.volume_counts import most_volumes

        return most_volumes(runs, options.labels, options.tasks, self.bids_dir)

    # The modules that do the work are imported when there is some: torch takes seconds.

    def participant(self, participant: Participant, options: EmotionOptions) -> Results:
        """Gather a participant's labelled volumes; see `bidsface_emotion_cnn.participant`."""
        from bidsface_emotion_cnn.participant import gather_volumes

        return gather_volumes(participant, options, self.seed("labels"), self.bids_dir)

    def group(self, participants: Sequence[ParticipantResults], options: EmotionOptions) -> Results:
        """Train over participants and look inside; see `bidsface_emotion_cnn.group`.

        Raises
        ------
        UsageError
            If a GPU is wanted and there is none.
        """
        from bidsface_emotion_cnn.group import analyse_group
        from bidsface_emotion_cnn.tools import Tools
        from bidsface_emotion_cnn.torch_devices import torch_device

        try:
            device = torch_device(self.device).type
        except InputError as error:
            raise UsageError(f"--{error}") from error
        with self.workspace() as folder:
            tools = Tools(lambda *keys: self.seed("group", *keys), self.map, self.tell, device)
            return analyse_group(participants, options, tools, folder)


def _check_atlas(options: EmotionOptions) -> None:
    if options.atlas is None:
        if options.atlas_labels is not None:
            raise RecipeError("atlas_labels: of no use without atlas, the image that it names")
        return
    from bidsface.anatomy import check_atlas

    try:
        check_atlas(options.atlas, options.atlas_labels)
    except InputError as error:
        raise RecipeError(f"atlas: {error}") from error


def _check_layers(options: EmotionOptions) -> None:
    """Refuse layers that the network does not have; every network has the default ones."""
    if options.layers == EmotionOptions().layers:
        return
    from bidsface_emotion_cnn.networks import layer_names

    network = options.training.network
    known = layer_names(network)
    unknown = [name for name in options.layers if name not in known]
    if unknown:
        raise RecipeError(
            f"layers: {network} has no layer {', '.join(unknown)}; it has {', '.join(known)}"
        )
