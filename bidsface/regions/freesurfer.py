"""Labels of FreeSurfer's `aseg` and Desikan-Killiany `aparc+aseg` segmentations."""

from __future__ import annotations

from collections.abc import Mapping

_SUBCORTICAL = {
    "Cerebral-White-Matter": (2, 41),
    "Cerebral-Cortex": (3, 42),
    "Lateral-Ventricle": (4, 43),
    "Inf-Lat-Vent": (5, 44),
    "Cerebellum-White-Matter": (7, 46),
    "Cerebellum-Cortex": (8, 47),
    "Thalamus": (10, 49),
    "Caudate": (11, 50),
    "Putamen": (12, 51),
    "Pallidum": (13, 52),
    "Hippocampus": (17, 53),
    "Amygdala": (18, 54),
    "Accumbens-area": (26, 58),
    "VentralDC": (28, 60),
    "vessel": (30, 62),
    "choroid-plexus": (31, 63),
}
"""Left and right index of structures that both hemispheres have."""

_MIDLINE = {
    "3rd-Ventricle": 14,
    "4th-Ventricle": 15,
    "Brain-Stem": 16,
    "CSF": 24,
    "5th-Ventricle": 72,
    "WM-hypointensities": 77,
    "non-WM-hypointensities": 80,
    "Optic-Chiasm": 85,
    "CC_Posterior": 251,
    "CC_Mid_Posterior": 252,
    "CC_Central": 253,
    "CC_Mid_Anterior": 254,
    "CC_Anterior": 255,
}

_CORTICAL = (
    "unknown",
    "bankssts",
    "caudalanteriorcingulate",
    "caudalmiddlefrontal",
    "corpuscallosum",
    "cuneus",
    "entorhinal",
    "fusiform",
    "inferiorparietal",
    "inferiortemporal",
    "isthmuscingulate",
    "lateraloccipital",
    "lateralorbitofrontal",
    "lingual",
    "medialorbitofrontal",
    "middletemporal",
    "parahippocampal",
    "paracentral",
    "parsopercularis",
    "parsorbitalis",
    "parstriangularis",
    "pericalcarine",
    "postcentral",
    "posteriorcingulate",
    "precentral",
    "precuneus",
    "rostralanteriorcingulate",
    "rostralmiddlefrontal",
    "superiorfrontal",
    "superiorparietal",
    "superiortemporal",
    "supramarginal",
    "frontalpole",
    "temporalpole",
    "transversetemporal",
    "insula",
)
"""Desikan-Killiany parcels: index 1000 + position on the left, 2000 + position on the right."""


def _aseg() -> dict[str, tuple[int, ...]]:
    names: dict[str, tuple[int, ...]] = {name: (index,) for name, index in _MIDLINE.items()}
    for name, (left, right) in _SUBCORTICAL.items():
        names |= {f"Left-{name}": (left,), f"Right-{name}": (right,), name: (left, right)}
    # FreeSurfer 6, and so fMRIPrep before 23.1, called the thalamus so.
    names |= {"Left-Thalamus-Proper": (10,), "Right-Thalamus-Proper": (49,)}
    return names


def _aparc() -> dict[str, tuple[int, ...]]:
    names: dict[str, tuple[int, ...]] = {}
    for position, name in enumerate(_CORTICAL):
        left, right = 1000 + position, 2000 + position
        names |= {f"ctx-lh-{name}": (left,), f"ctx-rh-{name}": (right,), name: (left, right)}
    return names


ASEG: Mapping[str, tuple[int, ...]] = _aseg()
"""Index or, for a name without a side, indices of every name in `aseg`."""

APARCASEG: Mapping[str, tuple[int, ...]] = {**ASEG, **_aparc()}
"""The same for `aparcaseg`."""

SEGMENTATIONS: Mapping[str, Mapping[str, tuple[int, ...]]] = {"aseg": ASEG, "aparcaseg": APARCASEG}


def label_indices(segmentation: str, label: int | str) -> tuple[int, ...]:
    """Return the indices of a label, whose name is compared without regard to case.

    Raises
    ------
    ValueError
        If the segmentation has no such name; the message lists those that it has.
    """
    if isinstance(label, int):
        return (label,)
    names = {name.lower(): indices for name, indices in SEGMENTATIONS[segmentation].items()}
    if label.lower() in names:
        return names[label.lower()]
    raise ValueError(
        f"{segmentation} has no label {label!r}; it has {', '.join(SEGMENTATIONS[segmentation])}"
    )
