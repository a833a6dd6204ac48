"""What the two data sets of the pain study say of themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bidsface.demo.pain.design import DATA_SETS, TASK, DataSet
from bidsface.demo.raw_files import StudyText, TaskText

README = """# Synthetic pain study, {name} data set

Nobody was scanned, hurt or filmed. `bidsface-demo` drew these data from random numbers, with known
patterns in known places; what was planted is described in the folder `truth` of the study, of
which this is the {name} one of two data sets (`bids` and `second/bids`). The participants of the
two are different people, although their labels are the same.

Participants get painful and innocuous heat (task `pain`) while their faces are filmed. The column
`facs` of the events scores how much pain a face expresses: about half of the painful trials leave
the face still, and the participants differ more than the trials of one of them do.

The data that are meant to be analysed are in `derivatives/fmriprep`, in the layout of fMRIPrep's
output, and in `derivatives/openface`, action units by frame. The images here only make the data
set complete: the BOLD runs are those same series, averaged over blocks of voxels, and the
T1-weighted images are the MNI152 template with noise. fMRIPrep was not run, and running it on
these images is of no use.
"""
EVENT_COLUMNS: Mapping[str, Mapping[str, Any]] = {
    "onset": {"Description": "Start of the stimulus after the first volume.", "Units": "s"},
    "duration": {"Description": "Duration of the stimulus.", "Units": "s"},
    "trial_type": {
        "LongName": "Stimulus",
        "Description": "Whether the heat was painful.",
        "Levels": {
            "painful": "Heat above the pain threshold",
            "innocuous": "Warmth below the pain threshold",
        },
    },
    "temperature": {"Description": "Temperature of the stimulus.", "Units": "°C"},
    "facs": {
        "LongName": "Facial expression of pain",
        "Description": "Score of the Facial Action Coding System: frequency times mean intensity "
        "(A to E counted as 1 to 5), summed over the action units 4, 6 or 7, 9 or 10, and 25, 26 "
        "or 27. 0 is a face without any of them.",
        "Units": "arbitrary",
    },
}


def text_of(data_set: DataSet) -> StudyText:
    """Return what a data set says of itself."""
    return StudyText(
        name=f"Synthetic pain study with planted truth, {data_set.name} data set",
        readme=README.format(name=data_set.name),
        tasks={
            TASK: TaskText(
                name="Painful and innocuous heat",
                instructions="Keep your head still; you need not hide what you feel.",
                columns=EVENT_COLUMNS,
            )
        },
    )


TEXTS = {data_set.name: text_of(data_set) for data_set in DATA_SETS}
