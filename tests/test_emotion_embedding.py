"""Embeddings of positions: UMAP, principal components, valence and arousal."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness
from sklearn.metrics import silhouette_score

from bidsface.errors import InputError
from bidsface_emotion_cnn.embedding import (
    UmapSettings,
    embed_positions,
    principal_components,
    umap_embedding,
)
from bidsface_emotion_cnn.positions import BoxGrid, top_positions
from bidsface_emotion_cnn.valence_arousal import (
    COORDINATES,
    class_coordinates,
    valence_arousal,
)

CLASSES = ("FEAR", "SADNESS", "HAPPINESS", "ANGERRAGE", "LOVE")


def drops(n=120, seed=0):
    """Vectors of positions that each lower one class, and which that is."""
    generator = np.random.default_rng(seed)
    truth = np.arange(n) % 3
    vectors = generator.normal(scale=0.02, size=(n, 5))
    vectors[np.arange(n), truth] -= 0.3
    return vectors, truth


# --- UMAP


def test_umap_keeps_groups_and_neighbours():
    pytest.importorskip("umap")
    vectors, truth = drops()
    found = umap_embedding(vectors, 3)
    assert found.shape == (120, 2)
    assert found.dtype == np.float64
    assert silhouette_score(found, truth) > 0.7
    assert trustworthiness(vectors, found, n_neighbors=10) > 0.8
    # Groups that are not there are not found.
    noise = np.random.default_rng(1).normal(size=(120, 5))
    assert silhouette_score(umap_embedding(noise, 3), truth) < 0.1


def test_umap_depends_on_the_seed_only():
    pytest.importorskip("umap")
    points = np.random.default_rng(2).random((60, 3))
    one, again, other = (umap_embedding(points, seed) for seed in (4, 4, 2**32 - 1))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)
    near = umap_embedding(points, 4, UmapSettings(n_neighbors=5))
    loose = umap_embedding(points, 4, UmapSettings(min_dist=0.8))
    assert not np.array_equal(one, near)
    assert not np.array_equal(one, loose)


@pytest.mark.parametrize("n", [5, 6, 31])
def test_few_points_have_fewer_neighbours(n):
    pytest.importorskip("umap")
    found = umap_embedding(np.random.default_rng(3).random((n, 4)), 0)
    assert found.shape == (n, 2)
    assert np.isfinite(found).all()


def test_points_that_lie_on_a_line_or_on_each_other():
    pytest.importorskip("umap")
    line = np.linspace(0, 1, 20)[:, None]
    assert np.isfinite(umap_embedding(line, 0)).all()
    same = np.repeat([[0.0, 1.0], [2.0, 3.0]], 10, axis=0)
    assert np.isfinite(umap_embedding(same, 0)).all()
    assert np.isfinite(umap_embedding(np.ones((12, 3)), 0)).all()


@pytest.mark.parametrize("n", [0, 1, 4])
def test_too_few_points_are_not_embedded(n):
    found = umap_embedding(np.zeros((n, 3)), 0)
    assert found.shape == (n, 2)
    assert np.isnan(found).all()


def test_without_umap_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(InputError, match=r"need umap-learn .*pip install 'bidsface\[cnn\]'"):
        umap_embedding(np.zeros((9, 3)), 0)


def test_importing_is_light():
    code = (
        "import sys, bidsface_emotion_cnn.after_occlusion, bidsface_emotion_cnn.occlusion_text, "
        "bidsface_emotion_cnn.occlusion_tables; "
        "print([m for m in ('umap', 'torch', 'sklearn', 'matplotlib') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


# --- principal components


def test_components_are_those_of_scikit_learn():
    points = np.random.default_rng(4).normal(size=(40, 5)) * [3, 1, 2, 0.5, 1]
    found = principal_components(points, 3)
    expected = PCA(3, svd_solver="full").fit(points)
    signs = np.sign((expected.components_ * found.weights).sum(axis=1))
    np.testing.assert_allclose(found.weights, expected.components_ * signs[:, None], atol=1e-10)
    np.testing.assert_allclose(found.scores, expected.transform(points) * signs, atol=1e-10)
    np.testing.assert_allclose(found.explained, expected.explained_variance_ratio_, atol=1e-12)
    largest = found.weights[np.arange(3), np.abs(found.weights).argmax(axis=1)]
    assert (largest > 0).all()


def test_components_that_there_are_not_are_zero():
    found = principal_components(np.array([[1.0], [2.0], [6.0]]))
    np.testing.assert_allclose(found.scores, [[-2, 0], [-1, 0], [3, 0]], atol=1e-12)
    np.testing.assert_allclose(found.explained, [1, 0])
    flat = principal_components(np.ones((4, 3)))
    assert not flat.scores.any()
    assert not flat.explained.any()


# --- valence and arousal


def test_classes_of_the_study_have_coordinates():
    found, notes = class_coordinates(CLASSES)
    assert notes == ()
    assert found[0].tolist() == [-0.60, 0.70]
    assert found[1].tolist() == [-0.70, -0.30]
    assert found[2].tolist() == [0.80, 0.35]
    assert found[3].tolist() == [-0.60, 0.60]
    assert found[4].tolist() == list(COORDINATES["love"])
    assert (np.abs(list(COORDINATES.values())) <= 1).all()


def test_names_are_compared_plainly_and_options_go_first():
    found, notes = class_coordinates(
        ["Anger/Rage", "fear", "PRIDE", "hope"], {"Fear": (0.0, 1.0), "pride": (0.5, 0.2)}
    )
    assert found[:3].tolist() == [[-0.60, 0.60], [0.0, 1.0], [0.5, 0.2]]
    assert np.isnan(found[3]).all()
    (note,) = notes
    assert note.startswith("hope: no conventional valence and arousal")


def test_positions_lie_where_the_classes_that_they_lower_are():
    coordinates = np.array([[-0.6, 0.7], [0.8, 0.3], [np.nan, np.nan]])
    vectors = np.array(
        [
            [-0.2, 0.1, 0.0],  # only the first one drops
            [-0.1, -0.3, 0.0],  # a quarter, three quarters
            [-0.1, 0.0, -0.9],  # a class without coordinates does not count
            [0.1, 0.1, -0.9],
        ]
    )
    found = valence_arousal(vectors, coordinates)
    np.testing.assert_allclose(found[0], coordinates[0])
    np.testing.assert_allclose(found[1], 0.25 * coordinates[0] + 0.75 * coordinates[1])
    np.testing.assert_allclose(found[2], coordinates[0])
    assert np.isnan(found[3]).all()
    nobody = valence_arousal(vectors, np.full((3, 2), np.nan))
    assert np.isnan(nobody).all()
    assert nobody.shape == (4, 2)


# --- all of it


def test_positions_that_matter_to_any_class_are_embedded_once():
    pytest.importorskip("umap")
    grid = BoxGrid((12, 12, 12), np.diag([3.0, 3, 3, 1]))
    maps = np.random.default_rng(5).normal(scale=0.01, size=(3, grid.n_positions))
    maps[0, 10:20] -= 0.3
    maps[1, 15:25] -= 0.2
    maps[2] = np.nan  # a class that was not occluded
    tops = top_positions(maps, 10)
    coordinates, _ = class_coordinates(("FEAR", "HAPPINESS", "LOVE"))
    found = embed_positions(maps, grid, tops, coordinates, np.random.SeedSequence(1))
    assert found.positions.tolist() == list(range(10, 25))
    np.testing.assert_array_equal(found.centres, grid.centres_mm[10:25])
    np.testing.assert_array_equal(found.vectors[:, :2], maps[:2, 10:25].T)
    assert not found.vectors[:, 2].any()
    assert found.affected.tolist() == [0] * 10 + [1] * 5
    assert found.spatial.shape == found.functional.shape == (15, 2)
    np.testing.assert_allclose(found.components.explained.sum(), 1.0)
    assert (found.feelings[:5, 0] < -0.4).all()
    assert (found.feelings[10:, 0] > 0.6).all()
    nothing = embed_positions(
        np.ones((2, grid.n_positions)), grid, top_positions(np.ones((2, 9))), coordinates[:2],
        np.random.SeedSequence(1),
    )  # fmt: skip
    assert nothing.functional.shape == (0, 2)
