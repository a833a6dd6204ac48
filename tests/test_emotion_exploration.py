"""What comes after occlusion, in one: tables, figures and sentences."""

from dataclasses import replace

import numpy as np
import pytest

from bidsface.analysis import Grid, Voxels
from bidsface.anatomy import Atlas
from bidsface.derivatives.names import TABLE_SUFFIXES
from bidsface.derivatives.tables import check_columns, encode_table
from bidsface.figures import render_svg
from bidsface_emotion_cnn.after_occlusion import (
    EMBEDDING,
    VECTORS,
    ExplorationSettings,
    Repeats,
    explore,
)
from bidsface_emotion_cnn.embedding import UmapSettings
from bidsface_emotion_cnn.group_occlusion import group_occlusion
from bidsface_emotion_cnn.occlusion_figures import (
    embedding_figure,
    map_figure,
    places_figure,
    stability_figure,
)
from bidsface_emotion_cnn.occlusion_tables import (
    cluster_table,
    drop_columns,
    embedding_table,
    stability_table,
)
from bidsface_emotion_cnn.occlusion_text import (
    CITATIONS,
    citations_of,
    exploration_highlights,
    exploration_methods,
    group_methods,
    occlusion_methods,
)
from bidsface_emotion_cnn.positions import BoxGrid
from bidsface_emotion_cnn.valence_arousal_figure import feelings_figure

CLASSES = ("FEAR", "HAPPINESS", "MIXED UP")
SHAPE = (16, 18, 14)
AFFINE = np.array([[4.0, 0, 0, -30], [0, 4.0, 0, -34], [0, 0, 4.0, -26], [0, 0, 0, 1]])
TOP = 20
N_SHOWN = np.array([1, 2, 2])


def brain():
    places = np.indices(SHAPE).reshape(3, -1).T - (np.array(SHAPE) - 1) / 2
    return (np.linalg.norm(places / (np.array(SHAPE) / 2), axis=1) < 0.95).reshape(SHAPE)


@pytest.fixture(scope="module")
def study():
    """Three classes, each with its own place; the places of the first two overlap."""
    grid = BoxGrid(SHAPE, AFFINE)
    centres = grid.centres_mm
    maps = np.random.default_rng(0).normal(scale=0.002, size=(3, grid.n_positions))
    for code, place in enumerate([(-14, 0, 0), (-6, 0, 0), (14, 10, 4)]):
        distance = np.linalg.norm(centres - place, axis=1)
        maps[code] -= (0.3 - 0.05 * code) * np.exp(-((distance / 10) ** 2))
    labels = np.where(np.arange(SHAPE[0])[:, None, None] < 8, 18, 54) * np.ones(SHAPE, int)
    atlas = Atlas(Grid(SHAPE, AFFINE), labels.ravel(), {18: "left", 54: "right"}, "atlas test")
    return grid, maps, grid.inside(brain()), atlas


SETTINGS = ExplorationSettings(
    top=TOP,
    umap=UmapSettings(n_neighbors=8),
    repeat_vectors=Repeats(3, 3),
    repeat_embedding=Repeats(2, 1),
)


@pytest.fixture(scope="module")
def explored(study):
    pytest.importorskip("umap")
    grid, maps, inside, atlas = study
    return explore(maps, grid, CLASSES, inside, atlas, np.random.SeedSequence(2), SETTINGS)


def test_exploration_of_planted_places(explored, study):
    _, _, inside, _ = study
    assert [len(top) for top in explored.tops] == [TOP] * 3
    assert inside[np.concatenate(explored.tops)].all()
    assert set(explored.stability) == {VECTORS, EMBEDDING}
    assert explored.stability[VECTORS].agreement.shape == (3,)
    assert explored.stability[EMBEDDING].agreement.shape == (1,)
    assert explored.notes == (
        "MIXED UP: no conventional valence and arousal, left out of the valence-arousal overlay; "
        "give coordinates in the options",
    )
    names = np.array(explored.names)
    assert set(names[explored.found.affected == 2]) == {"right"}
    assert (names[explored.found.affected == 0] == "left").mean() > 0.9


def test_table_of_positions(explored, study):
    grid, maps, _, _ = study
    table = embedding_table(explored, {"space": "MNI"})
    assert table.suffix == "embedding"
    assert table.suffix in TABLE_SUFFIXES
    check_columns(table.frame, table.columns, "table")
    frame = table.frame
    assert len(frame) == 3 * TOP
    assert frame["rank"].tolist() == [*range(1, TOP + 1)] * 3
    fear = frame[frame["class"] == "FEAR"]
    assert fear["drop_FEAR"].is_monotonic_decreasing
    assert fear["drop_FEAR"].iloc[0] == -maps[0].min()
    best = grid.centres_mm[maps[0].argmin()]
    assert fear[["x_mm", "y_mm", "z_mm"]].iloc[0].tolist() == best.tolist()
    # A position that matters to two classes has two rows with one place in the embeddings.
    shared = frame[frame.duplicated(["x_mm", "y_mm", "z_mm"], keep=False)]
    assert len(shared) > 0
    assert shared.groupby(["x_mm", "y_mm", "z_mm"])["umap_1"].nunique().eq(1).all()
    assert frame["cluster"].min() == 1
    assert b"drop_MIXED_UP" in encode_table(frame).splitlines()[0]


def test_noise_has_no_cluster_in_the_table(explored):
    labels = explored.clustering.labels.copy()
    labels[explored.found.positions == explored.tops[0][0]] = -1
    changed = replace(explored, clustering=replace(explored.clustering, labels=labels))
    frame = embedding_table(changed, {}).frame
    assert frame["cluster"].isna().iloc[0]
    text = encode_table(frame).decode().splitlines()
    row = np.searchsorted(explored.found.positions, explored.tops[0][1])
    column = text[0].split("\t").index("cluster")
    assert text[1].split("\t")[column] == "n/a"
    assert text[2].split("\t")[column] == str(labels[row] + 1)


def test_table_of_clusters(explored):
    table = cluster_table(explored, {})
    assert table.suffix in TABLE_SUFFIXES
    check_columns(table.frame, table.columns, "table")
    frame = table.frame
    encode_table(frame)
    assert frame["n_positions"].is_monotonic_decreasing
    assert frame["n_positions"].sum() == len(explored.found.positions)
    assert frame["peak_drop"].max() == -explored.found.vectors.min()
    row = frame.loc[frame["peak_drop"].idxmax()]
    assert (row["peak_class"], row["peak_structure"]) == ("FEAR", "left")
    members = explored.clustering.labels == int(row["cluster"]) - 1
    assert row["drop_FEAR"] == -explored.found.vectors[members, 0].mean()
    assert row["share"] == (explored.found.affected[members] == 0).mean()


def test_table_of_stability(explored):
    table = stability_table(explored, {})
    assert table.suffix in TABLE_SUFFIXES
    check_columns(table.frame, table.columns, "table")
    encode_table(table.frame)
    assert table.frame["n_seeds"].tolist() == [3, 2]
    assert table.frame["n_sets"].tolist() == [3, 1]
    assert table.frame["agreement"].tolist() == [one.mean for one in explored.stability.values()]


def test_classes_with_names_alike_have_their_own_columns():
    assert drop_columns(["a b", "a/b", "c"]) == {
        "a b": "drop_a_b",
        "a/b": "drop_a_b_",
        "c": "drop_c",
    }


def test_nothing_drops(study):
    grid, maps, inside, atlas = study
    found = explore(np.abs(maps), grid, CLASSES, inside, atlas, np.random.SeedSequence(0), SETTINGS)
    assert len(found.found.positions) == 0
    assert found.stability == {}
    assert found.notes[0] == "FEAR: its probability drops at 0 positions only, instead of 20"
    table = embedding_table(found, {})
    check_columns(table.frame, table.columns, "table")
    assert len(table.frame) == 0
    assert cluster_table(found, {}) is None
    assert stability_table(found, {}) is None
    assert exploration_highlights(found)[0] == "FEAR: no occlusion lowers its probability."
    for figure in (
        places_figure(found.found, CLASSES, grid, inside),
        embedding_figure(found.found, CLASSES, found.clustering),
        feelings_figure(found.found, CLASSES, found.coordinates),
    ):
        assert render_svg(figure).startswith(b"<?xml")


# --- figures


def texts(figure):
    return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]


def test_places_are_drawn_in_space_and_in_three_projections(explored, study):
    grid, _, inside, _ = study
    figure = places_figure(explored.found, CLASSES, grid, inside)
    solid, *planes, key = figure.axes
    assert solid.name == "3d"
    assert [axes.get_title(loc="left") for axes in planes] == ["sagittal", "coronal", "axial"]
    for axes, pair in zip(planes, [(1, 2), (0, 2), (0, 1)], strict=True):
        points = [one for one in axes.collections if len(one.get_offsets()) > 1]
        offsets = np.concatenate([one.get_offsets() for one in points])
        expected = explored.found.centres[:, list(pair)]
        np.testing.assert_allclose(np.sort(offsets, axis=0), np.sort(expected, axis=0))
        # The outline goes around all positions in the brain.
        (outline,) = [one for one in axes.collections if len(one.get_offsets()) <= 1]
        corners = np.concatenate([path.vertices for path in outline.get_paths()])
        centres = grid.centres_mm[inside][:, list(pair)]
        assert (corners.min(axis=0) <= centres.min(axis=0)).all()
        assert (corners.max(axis=0) >= centres.max(axis=0)).all()
        assert (corners.min(axis=0) > centres.min(axis=0) - 10).all()
    assert [text.get_text() for text in key.get_legend().get_texts()] == list(CLASSES)
    assert render_svg(figure) == render_svg(places_figure(explored.found, CLASSES, grid, inside))


def test_embeddings_are_drawn(explored):
    figure = embedding_figure(explored.found, CLASSES, explored.clustering)
    assert len(figure.axes) == 4
    for axes, points in zip(
        figure.axes,
        (
            explored.found.spatial,
            explored.found.functional,
            explored.found.components.scores,
            explored.found.functional,
        ),
        strict=True,
    ):
        offsets = np.concatenate([one.get_offsets() for one in axes.collections])
        np.testing.assert_allclose(np.sort(offsets, axis=0), np.sort(points, axis=0))
    assert any("PC 1 (" in text for text in texts(figure))
    assert {"FEAR", "cluster 1"} <= set(texts(figure))
    assert len(render_svg(figure)) < 400_000


def test_valence_and_arousal_are_laid_over(explored):
    figure = feelings_figure(explored.found, CLASSES, explored.coordinates)
    shown = texts(figure)
    assert {"FEAR", "HAPPINESS", "valence", "arousal"} <= set(shown)
    assert "MIXED UP" not in shown  # it has no place in the plane
    assert render_svg(figure).startswith(b"<?xml")


def test_stability_is_drawn(explored):
    figure = stability_figure(explored.stability, explored.clustering)
    agreement, numbers = figure.axes
    assert [text.get_text() for text in agreement.get_yticklabels()] == [VECTORS, EMBEDDING]
    dots = next(line for line in agreement.lines if len(line.get_xdata()) == 3)
    np.testing.assert_array_equal(dots.get_xdata(), explored.stability[VECTORS].agreement)
    np.testing.assert_array_equal(
        numbers.lines[0].get_ydata(), list(explored.clustering.tried.values())
    )
    alone = stability_figure(explored.stability, replace(explored.clustering, tried={}))
    assert len(alone.axes) == 1


def test_maps_are_drawn_as_drops(study):
    grid, maps, _, _ = study
    voxels = Voxels(Grid(SHAPE, AFFINE), np.flatnonzero(brain()))
    figure = map_figure(maps[0], grid, voxels, "Occlusion, FEAR")
    assert "drop of probability" in [axes.get_ylabel() for axes in figure.axes]
    pictures = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    red = [(picture[..., 0].astype(int) - picture[..., 2]).max() for picture in pictures[:-1]]
    blue = [(picture[..., 2].astype(int) - picture[..., 0]).max() for picture in pictures[:-1]]
    assert max(red) > 100 > max(blue)  # drops are positive, and red


def test_oblique_grids_have_one_outline():
    from matplotlib.figure import Figure

    from bidsface_emotion_cnn.position_drawing import draw_outline

    turn = np.deg2rad(20)
    turned = np.indices((20, 20)).reshape(2, -1).T @ [
        [np.cos(turn), np.sin(turn)],
        [-np.sin(turn), np.cos(turn)],
    ]
    lines = draw_outline(Figure().subplots(), turned * 3.0, 3.0)
    assert len(lines) == 1
    closed = lines[0]
    area = 0.5 * abs(np.sum(closed[:-1, 0] * closed[1:, 1] - closed[1:, 0] * closed[:-1, 1]))
    assert area == pytest.approx(60.0**2, rel=0.12)


# --- sentences


def test_sentences_cite_what_was_done(explored, study):
    grid, maps, inside, _ = study
    text = exploration_methods(explored)
    assert set(citations_of(text)) == {
        "mcinnes2018",
        "kobak2021",
        "russell1980",
        "rousseeuw1987",
        "pedregosa2011",
        "hubert1985",
        "theiler1992",
        "burt2020",
    }
    assert "8 neighbours" in text
    assert "atlas test" in text
    dense = replace(explored, settings=replace(SETTINGS, clustering="hdbscan"), stability={})
    assert "campello2013" in citations_of(exploration_methods(dense))
    assert "hubert1985" not in citations_of(exploration_methods(dense))
    occluded = occlusion_methods(grid, 10, 0.8, ("integrated-gradients", "smooth-grad"))
    assert set(citations_of(occluded)) == {
        "zeiler2014",
        "occlusion2025",
        "sundararajan2017",
        "smilkov2017",
    }
    assert "504 positions" in occluded
    assert "sundararajan2017" not in citations_of(occlusion_methods(grid, 10, 0.8))
    tested = group_occlusion(np.stack([maps, maps + 0.01]), 7, np.random.SeedSequence(0), inside)
    assert {"winkler2014", "nichols2002", "benjamini1995"} == set(
        citations_of(group_methods(N_SHOWN, tested, 12, 7))
    )
    said = group_methods(N_SHOWN, tested, 12, 7)
    assert "over participants (1 to 2 per class)" in said
    assert "tested in up to 12 volumes per class" in said
    assert "drawn whatever the network said of them (2 participants per class)" in said
    alone = group_occlusion(maps[None], 7, np.random.SeedSequence(0), inside)
    assert "there was no inference" in group_methods(N_SHOWN, alone, 12, 7)
    every = text + occluded + group_methods(N_SHOWN, tested, 12, 7) + exploration_methods(dense)
    assert set(citations_of(every)) == set(CITATIONS)


def test_highlights(explored):
    *classes, clusters, sharing = exploration_highlights(explored)
    assert len(classes) == 3
    assert classes[0].startswith("FEAR: the largest drop of its probability (0.")
    assert classes[2].endswith("mm, right.")
    assert "clusters of positions by their drops" in clusters
    assert clusters.count("(maps with nothing in common: ") == 2
    n = len(explored.found.positions)
    assert sharing.startswith(f"The 60 top positions of all classes are {n} places (maps with ")
