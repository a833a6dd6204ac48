"""What the faces study says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bidsface.demo.raw_files import StudyText, TaskText

README = """# Synthetic faces study

Nobody was scanned. `bidsface-demo` drew these data from random numbers, with known patterns in
known regions; what was planted is described in `truth.json`, in the folder `truth` beside this
data set.

Participants display joy, anger and disgust in one session (task `display`) and observe them in
another (task `observe`). Catch trials of the observing task have no expression: their
`trial_type` is `n/a`.

The data that are meant to be analysed are in `derivatives/fmriprep`, in the layout of fMRIPrep's
output. The images here only make the data set complete: the BOLD runs are those same series,
averaged over blocks of voxels, and the T1-weighted images are the MNI152 template with noise.
fMRIPrep was not run, and running it on these images is of no use.
"""
EVENT_COLUMNS: Mapping[str, Mapping[str, Any]] = {
    "onset": {"Description": "Start of the event after the first volume.", "Units": "s"},
    "duration": {"Description": "Duration of the event.", "Units": "s"},
    "trial_type": {
        "LongName": "Expression",
        "Description": "Facial expression of the trial; n/a in catch trials.",
        "Levels": {
            "joy": "A joyful expression",
            "anger": "An angry expression",
            "disgust": "A disgusted expression",
        },
    },
    "trial_kind": {
        "Description": "What kind of trial it is.",
        "Levels": {"expression": "A trial with an expression", "catch": "A trial without one"},
    },
}
FACES = StudyText(
    name="Synthetic faces study with planted truth",
    readme=README,
    tasks={
        "display": TaskText(
            name="Displaying expressions",
            instructions="After the beep, pose the expression until the second beep.",
            columns=EVENT_COLUMNS,
        ),
        "observe": TaskText(
            name="Observing expressions",
            instructions="Watch the clips of facial expressions; press the button when there is "
            "no face.",
            columns=EVENT_COLUMNS,
        ),
    },
)
