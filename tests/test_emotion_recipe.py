"""The recipe of emotions in a film on the synthetic film, from the command line to valid files."""

import json

import numpy as np
import pandas as pd
import pytest
from validator import validator_issues

from bidsface.__main__ import main
from bidsface.analysis import RunSize
from bidsface.errors import ExecutionError
from bidsface.schema import schema_path

pytest.importorskip("torch")
pytest.importorskip("umap")
pytestmark = pytest.mark.xdist_group("emotion_recipe")  # one worker runs the recipe for all

STRICT = ("figures", "*.html", "logs")
SEGMENTS = "[{start: 0, end: 120}, {start: 104, end: 224}, {start: 208, end: 328}]"
QUICK = (
    *(f"analyses.{name}.labels.segments={SEGMENTS}" for name in ("consensus", "emotions")),
    *(f"analyses.{name}.labels.minimum=4" for name in ("consensus", "emotions")),
    "analyses.consensus.bootstraps=50",
    "analyses.emotions.training={network: emotion-cnn-small, epochs: 2, batch_size: 16}",
    "analyses.emotions.bootstraps=100",
    "analyses.emotions.shifts=49",
    "analyses.emotions.layers=[pool, fc]",
    "analyses.emotions.occlusion={per_class: 3, above: 0.05, top: 20}",
    "analyses.emotions.embedding={n_neighbors: 5, seeds: 2}",
)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    from bidsface.demo.film.study import write_film_study

    root = tmp_path_factory.mktemp("film")
    write_film_study(
        root, seed=2, participants=3, runs=3, observers=5, volumes=60, voxel_size_mm=14.0, n_jobs=2
    )
    return root


def run(study, out, *argv, settings=QUICK):
    command = [str(study / "bids"), str(out), "participant", "group", "--recipe", "emotion-cnn"]
    return main([*command, "--nprocs", "2", *argv, "--set", *settings])


@pytest.fixture(scope="module")
def finished(study):
    out = study / "out"
    assert run(study, out) == 0
    return out


def tables(out, name):
    return [pd.read_csv(path, sep="\t", na_values="n/a") for path in sorted(out.glob(name))]


def test_labels_are_those_of_the_annotations(finished):
    for table in tables(finished, "sub-*/func/*_desc-emotions_volumes.tsv"):
        assert set(table["segment"].astype(str)) == {"1", "2", "3"}
        assert (table["agreement"] > 0.5).all()
        assert table["trial_type"].nunique() >= 3
    first, *others = tables(finished, "sub-*/func/*_desc-emotions_volumes.tsv")
    # Everybody has seen the same film.
    for other in others:
        pd.testing.assert_frame_equal(first, other)


def test_every_scheme_tests_the_network_and_the_baseline(finished):
    (scores,) = tables(finished, "func/*film_*desc-emotions_scores.tsv")
    assert set(scores["scheme"]) == {"runs", "participants", "random"}
    assert set(scores["estimator"]) == {"network", "logistic"}
    pooled = scores[(scores["metric"] == "balanced_accuracy") & (scores["fold"] == "pooled")]
    assert len(pooled) == 6
    assert pooled["value"].between(0, 1).all()
    assert pooled.set_index("scheme").loc["runs", "p"].notna().all()
    (predictions,) = tables(finished, "func/*film_*desc-emotions_predictions.tsv")
    columns = [name for name in predictions if name.startswith("probability_")]
    np.testing.assert_allclose(predictions[columns].sum(axis=1), 1, atol=1e-4)
    (audit,) = tables(finished, "func/*_contrast-leakage_comparisons.tsv")
    assert {"random", "participants"} == set(audit["scheme_a"])


def test_networks_can_be_applied_again(finished):
    from bidsface_emotion_cnn.weights import load_network

    paths = sorted(finished.glob("func/*_desc-emotions_contrast-runs*_model.npz"))
    assert len(paths) == 3
    info = json.loads(paths[0].with_suffix("").with_suffix(".json").read_text())["Model"]
    model = load_network(paths[0], info["network"])
    assert model.n_classes == len(info["classes"])


def test_maps_tables_and_matrices_are_there(finished):
    func = finished / "func"
    for stat in ("importance", "integratedgradients", "smoothgrad"):
        assert list(func.glob(f"*_desc-emotions_contrast-*_stat-{stat}_statmap.nii.gz")), stat
    (regions,) = tables(finished, "func/*_contrast-regions_scores.tsv")
    assert {"amygdala", "insula"} <= set(regions["roi_name"])
    (similarity,) = tables(finished, "func/*_contrast-similarity_scores.tsv")
    assert set(similarity["layer"]) == {"pool", "fc"}
    assert similarity["exhaustive"].all()
    assert list(func.glob("*_contrast-runsNetwork_relmat.tsv"))
    assert list(func.glob("*_desc-emotions_embedding.tsv"))


def test_validators_find_no_error(finished):
    assert validator_issues(finished) == []
    assert validator_issues(finished, schema=schema_path(), ignore=STRICT) == []


def test_a_second_run_computes_nothing(finished, study, capsys):
    assert run(study, finished) == 0
    assert "everything was up to date" in capsys.readouterr().out


def test_results_do_not_depend_on_the_number_of_processes(finished, study):
    out = study / "one"
    assert run(study, out, "--nprocs", "1") == 0
    for path in sorted(finished.glob("func/*_desc-emotions_*.tsv")):
        assert (out / "func" / path.name).read_bytes() == path.read_bytes(), path.name


def test_one_participant_is_enough(study, tmp_path, capsys):
    out = tmp_path / "out"
    assert run(study, out, "--participant-label", "01") == 0
    (scores,) = tables(out, "func/*film_*desc-emotions_scores.tsv")
    assert set(scores["scheme"]) == {"runs", "random"}
    (report,) = out.glob("*group*.html")
    assert "nothing was held out by participants" in report.read_text()


def test_segments_are_asked_for(study, tmp_path, capsys):
    settings = [one for one in QUICK if "segments" not in one]
    assert run(study, tmp_path / "out", settings=settings) == 1
    assert "labels.segments does not say which part of the film" in capsys.readouterr().out


def test_annotations_have_to_be_there(study, tmp_path, capsys):
    settings = [*QUICK, 'analyses.emotions.labels.files=["bids::stimuli/none/*.csv"]']
    assert run(study, tmp_path / "out", settings=settings) == 2
    assert "bids::stimuli/none/*.csv" in capsys.readouterr().err


FAR = "{source: spheres, coordinates: [[300, 0, 0]], radius: 2, optional: true}"
ONE_EPOCH = (
    *QUICK,
    "analyses.emotions.training={network: emotion-cnn-small, epochs: 1, batch_size: 16}",
    "analyses.emotions.schemes=[runs]",
    "analyses.emotions.baseline=false",
    "analyses.emotions.occlusion=null",
    "analyses.emotions.shifts=9",
    "analyses.emotions.permutations=10",
)


@pytest.mark.parametrize(
    "settings",
    [
        ("regions={}", "analyses.emotions.regions=[]"),
        (f"regions={{far: {FAR}}}", "analyses.emotions.regions=[far]"),
    ],
)
def test_regions_are_an_extra(study, tmp_path, settings):
    names = ("--analysis", "emotions")
    assert run(study, tmp_path, *names, settings=[*ONE_EPOCH, *settings]) == 0
    signals = list(tmp_path.glob("sub-*/func/*_desc-emotions_stat-signal_statmap.nii.gz"))
    assert len(signals) == 3
    assert not list(tmp_path.glob("sub-*/func/*_desc-emotions_stat-regions_statmap.nii.gz"))
    (scores,) = tables(tmp_path, "func/*film_*desc-emotions_scores.tsv")
    assert set(scores["scheme"]) == {"runs"}
    assert not list(tmp_path.glob("func/*_contrast-regions_scores.tsv"))


def test_consensus_needs_neither_samples_nor_regions(study, tmp_path):
    settings = [*QUICK, "samples={}", "regions={}"]
    assert run(study, tmp_path, "--analysis", "consensus", settings=settings) == 0
    assert list(tmp_path.glob("func/*_desc-consensus_*.tsv"))


def test_memory_counts_labelled_volumes(study, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("bidsface.memory.BRAIN_FRACTION", 1000.0)  # for images this small

    def estimate(name):
        assert run(study, tmp_path, "--dry-run", "--analysis", name) == 0
        words = capsys.readouterr().out.split("estimated memory ")[1].split()
        return int(words[0]), int(words[7])

    (less_memory, less_disk), (memory, disk) = estimate("consensus"), estimate("emotions")
    assert memory > 1.2 * less_memory
    assert disk > 2 * less_disk

    def fits(settings, participants, samples, counters):
        found.extend(counter([RunSize({"task": "film"}, 40, 2.0)]) for counter in counters)
        raise ExecutionError("enough")

    found = []
    monkeypatch.setattr("bidsface.app.processes_that_fit", fits)
    run(study, tmp_path)
    assert found[0] == 0  # consensus
    assert 0 < found[1] <= 40
