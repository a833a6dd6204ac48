"""RDMs of spheres in one task of a participant, and maps of their similarity to models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from bidsface.analysis import Entities, Map, Participant, Region, Samples, Voxels
from bidsface.backgrounds import mean_map
from bidsface.errors import InputError
from bidsface.numerics.map_tests import MapTest, blocks
from bidsface.numerics.neighbourhoods import Spheres
from bidsface.numerics.rdm_statistics import STATISTICS
from bidsface.numerics.searchlight_rsa import sphere_model_test
from bidsface.numerics.sphere_rdms import CENTRES, all_sphere_rdms, sphere_rdms
from bidsface_emotion_cnn.rsa import RsaOptions, RsaSearchlight
from bidsface_emotion_cnn.rsa_memory import refuse_too_large
from bidsface_emotion_cnn.rsa_patterns import Design, region_patterns, varying

Floats = NDArray[np.float64]

RDMS, SIZES, SIMILARITY = "dissimilarity", "size", "correlation"
"""``stat`` of the maps: RDMs of spheres (a volume per pair), voxels of each, similarity."""


@dataclass(frozen=True, eq=False)
class SphereMaps:
    """RDMs of spheres, and their tests.

    Attributes
    ----------
    region : str
    radius : float
        mm.
    voxels : Voxels
        Centres.
    sizes : ndarray of shape (n_voxels,)
        Voxels of every sphere.
    classes : tuple of str
    rdms : ndarray of shape (n_voxels, n_pairs), float32
        0 where a sphere has no RDM.
    tests : mapping of str to MapTest
        By model.
    entities : mapping
    what : str
        Description of the similarity.
    """

    region: str
    radius: float
    voxels: Voxels
    sizes: NDArray[np.int32]
    classes: tuple[str, ...]
    rdms: NDArray[np.float32]
    tests: Mapping[str, MapTest]
    entities: Entities
    what: str


def pair_names(classes: Sequence[str]) -> list[str]:
    """Return names of the pairs of classes, in the order of an RDM."""
    return [f"{first} - {second}" for first, second in combinations(classes, 2)]


def find_spheres(
    participant: Participant,
    samples: Samples,
    designs: Sequence[Design],
    models: Mapping[str, Floats],
    options: RsaOptions,
    seed: np.random.SeedSequence,
) -> SphereMaps | None:
    """Compute the RDMs of all spheres of the searchlight's region, and compare them with models.

    Parameters
    ----------
    participant : Participant
    samples : Samples
    designs : sequence of Design
        Of several, the mean RDM is used.
    models : mapping of str to ndarray of shape (n_pairs,)
    options : RsaOptions
    seed : SeedSequence
        Of the orders of the classes, which all models share.

    Raises
    ------
    InputError
        If the region was not found, has no voxel that varies, or its RDMs do not fit into memory.
    """
    light = options.searchlight
    if light is None:
        return None
    region = _find_region(participant, light)
    noise = "none" if options.normalization == "none" else "diagonal"
    columns = varying(samples.X, region.columns, designs, noise)
    if not len(columns):
        raise InputError(
            f"sub-{participant.label}: no voxel of {region.name} varies over the samples"
        )
    voxels = participant.voxels.take(columns)
    grid = voxels.grid
    refuse_too_large(len(columns), len(designs[0].classes))
    drawn = [region_patterns(samples.X, columns, own, options, noise).whitened for own in designs]
    patterns = drawn[0] if len(drawn) == 1 else np.stack(drawn)
    spheres = Spheres.of(grid.shape, grid.affine, voxels.index, light.radius)
    found = sphere_rdms(spheres, patterns, options.dissimilarity)
    # Single precision is what is written, and what the group level reads.
    rdms = np.asarray(all_sphere_rdms(found, participant.map, np.float32), np.float32)
    for some in blocks(len(rdms), CENTRES):  # of all at once, masks would be as large as RDMs
        np.nan_to_num(rdms[some], copy=False)
    tests = {
        name: sphere_model_test(
            [rdms],
            model,
            statistic=options.statistic,
            n_permutations=options.permutations,
            seed=seed,
            run=participant.map,
        )
        for name, model in models.items()
    }
    return SphereMaps(
        region.name,
        light.radius,
        voxels,
        spheres.sizes(),
        designs[0].classes,
        rdms,
        tests,
        samples.entities,
        STATISTICS[options.statistic].description,
    )


def _find_region(participant: Participant, light: RsaSearchlight) -> Region:
    """Return the wanted region, or the largest one."""
    wanted = [] if light.region is None else [light.region]
    regions = list(participant.select_regions(wanted))
    if not regions:
        raise InputError(
            f"sub-{participant.label}: the region of the searchlight was not found, wanted "
            f"{light.region or 'any'}"
        )
    return max(regions, key=lambda region: len(region.columns))


def maps_of(spheres: SphereMaps) -> Iterator[Map]:
    """Yield sizes and RDMs of spheres, and for every model similarity, p and corrected p."""
    where = f"spheres of {spheres.radius:g} mm"
    yield Map(
        SIZES,
        spheres.sizes.astype(np.float32),
        spheres.voxels,
        spheres.entities,
        "Number of voxels in the sphere around every centre",
    )
    yield Map(
        RDMS,
        spheres.rdms,
        spheres.voxels,
        spheres.entities,
        f"Dissimilarities of all pairs of classes in {where}",
        pair_names(spheres.classes),
    )
    for name, test in spheres.tests.items():
        yield from model_maps(name, test, spheres.voxels, spheres.entities, spheres.what, where)


def model_maps(
    name: str, test: MapTest, voxels: Voxels, entities: Entities, what: str, where: str
) -> Iterator[Map]:
    """Yield the maps of one model: similarity, p and corrected p."""
    own = {**entities, "contrast": name}
    text = f"{what} of RDMs in {where} and the model {name}"
    for stat, values, description in (
        (SIMILARITY, test.statistic, text),
        ("p", test.p, f"One-tailed p of the {text}, from permuted classes of the model"),
        ("pfwe", test.p_fwe, f"p of the {text}, corrected over voxels by the maximum"),
    ):
        yield Map(stat, values, voxels, own, description[:1].upper() + description[1:])


def background_map(participant: Participant, entities: Sequence[Entities]) -> Map:
    """Return the participant's mean image, which the group level draws maps on."""
    common = set.intersection(*(set(own.items()) for own in entities))
    return mean_map(
        participant, {key: value for key, value in entities[0].items() if (key, value) in common}
    )
