"""Writing and reading back: names, bytes, torn output, owners of names, several processes."""

import gzip
import hashlib
import multiprocessing
import os
import signal
import sys
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from example_results import (
    COLUMNS,
    example_grid,
    example_provenance,
    example_results,
    example_table,
    example_unit,
    example_voxels,
)

from bidsface.analysis import (
    Column,
    Grid,
    Map,
    Matrix,
    Model,
    Parcellation,
    Region,
    Results,
    Table,
    Voxels,
)
from bidsface.derivatives import OutputFolder, maps
from bidsface.derivatives.locks import locked
from bidsface.errors import BidsfaceError, InputError

FORKSERVER = multiprocessing.get_context("forkserver")
FORKSERVER.set_forkserver_preload(["bidsface.derivatives", "bidsface.figures", "pytest"])


@pytest.fixture
def output(tmp_path):
    folder = OutputFolder(tmp_path / "out")
    folder.prepare({})
    return folder


def written(folder, results=None, unit=None):
    return folder.write(unit or example_unit(), results or example_results(), example_provenance())


def data_files(folder):
    """Bytes of everything that is no state and no log, by path."""
    return {
        str(path.relative_to(folder.root)): path.read_bytes()
        for path in sorted(folder.root.rglob("*"))
        if path.is_file() and ".bidsface" not in path.parts and path.parent != folder.root
    }


def one_table(**columns):
    frame = pd.DataFrame(columns)
    return Results(
        tables=[Table("scores", frame, {name: Column(name) for name in frame}, {}, "A table")]
    )


class TestReceipt:
    def test_names_every_file(self, output):
        receipt = written(output)
        assert {record.path for record in receipt.files} == set(data_files(output))

    def test_comes_back_from_disk(self, output):
        receipt = written(output)
        assert output.receipts() == [
            replace(
                receipt,
                files=list(receipt.files),
                highlights=list(receipt.highlights),
                warnings=list(receipt.warnings),
                summaries=list(receipt.summaries),
                leftovers=[],
            )
        ]

    def test_holds_what_reports_need(self, output):
        receipt = written(output)
        figure = next(record for record in receipt.files if record.kind == "figure")
        assert (figure.title, figure.caption) == ("Accuracy", "By region")
        view = next(record for record in receipt.files if record.kind == "view")
        assert view.path == "sub-01/figures/sub-01_task-display_desc-within_weights.html"
        assert (output.root / view.path).read_text() == "<!doctype html>"
        assert receipt.summaries[0].rows == [["display", None, 3]]
        assert receipt.highlights == ("Joy was found.",)
        assert receipt.worker == "host:1"
        assert receipt.seconds >= 0
        assert receipt.inputs == example_provenance().inputs

    def test_is_found_by_level_participant_and_analysis(self, output):
        for label in ("01", "02", None):
            written(output, one_table(value=[1.0]), example_unit(label))
            written(output, one_table(value=[1.0]), example_unit(label, "other"))
        assert len(output.receipts()) == 6
        assert len(output.receipts(level="group")) == 2
        assert len(output.receipts(participant="02")) == 2
        assert len(output.receipts(level="participant", analysis="other")) == 2

    def test_that_is_torn_vouches_for_nothing(self, output):
        written(output)
        path = next((output.state / "receipts").rglob("*.json"))
        path.write_bytes(path.read_bytes()[:-200])
        assert not output.is_done(example_unit())
        assert output.receipts() == []


class TestDone:
    def test_after_writing_and_only_with_this_fingerprint(self, output):
        assert not output.is_done(example_unit())
        written(output)
        assert output.is_done(example_unit())
        assert not output.is_done(example_unit(print_="f2"))
        assert not output.is_done(example_unit("02"))

    @pytest.mark.parametrize("damage", ["remove", "truncate", "change", "empty"])
    @pytest.mark.parametrize("ending", [".tsv", ".nii.gz", ".json", ".svg", ".npz"])
    def test_no_longer_when_a_file_is_damaged(self, output, damage, ending):
        written(output)
        path = next(output.root.rglob(f"sub-01*{ending}"))
        content = path.read_bytes()
        path.unlink()
        after = {"truncate": content[:-1], "change": content[:-1] + b"#", "empty": b""}
        if damage in after:
            path.write_bytes(after[damage])
        assert not output.is_done(example_unit())

    def test_still_when_only_times_changed(self, output):
        written(output)
        for path in output.root.rglob("sub-01*"):
            os.utime(path, (1, 1))
        assert output.is_done(example_unit())


class TestSecondResult:
    def test_is_the_same_to_the_byte(self, output, tmp_path):
        written(output)
        other = OutputFolder(tmp_path / "other")
        other.prepare({})
        written(other)
        assert data_files(output) == data_files(other)

    def test_removes_what_it_does_not_write(self, output):
        written(output)
        receipt = written(output, one_table(value=[1.0]), example_unit(print_="f2"))
        assert set(data_files(output)) == {record.path for record in receipt.files}
        assert output.is_done(example_unit(print_="f2"))

    def test_replaces_a_failure(self, output):
        receipt = output.record_failure(example_unit(), "no data", "Traceback ...")
        crash = (output.root / receipt.crash_file).read_text()
        assert "no data" in crash
        assert "Traceback ..." in crash
        assert receipt.crash_file.endswith("-sub-01-within.txt")
        assert [found.status for found in output.receipts()] == ["failed"]
        assert not output.is_done(example_unit())
        written(output)
        assert [found.status for found in output.receipts()] == ["done"]

    def test_that_fails_disowns_the_files_until_the_next_success(self, output):
        written(output)
        output.record_failure(example_unit(), "broken", None)
        assert not output.is_done(example_unit())
        assert data_files(output)
        receipt = written(output, one_table(value=[1.0]))
        assert set(data_files(output)) == {record.path for record in receipt.files}


class TestRefused:
    def test_two_results_of_one_name(self, output):
        table = example_table()
        with pytest.raises(BidsfaceError, match="two results of analysis within are called"):
            written(output, Results(tables=[table, table]))
        assert data_files(output) == {}

    def test_two_names_that_differ_only_in_case(self, output):
        tables = [replace(example_table(), entities={"label": label}) for label in "aA"]
        with pytest.raises(BidsfaceError, match="two results"):
            written(output, Results(tables=tables))

    def test_a_name_of_another_unit(self, output):
        figure = example_results().figures[0]
        twin = replace(figure, name="scores", entities={})
        written(output, Results(figures=[twin]))
        receipts = output.state / "receipts" / "participant" / "sub-01"
        (receipts / "within.json").rename(receipts / "renamed.json")
        path = receipts / "renamed.json"
        path.write_text(path.read_text().replace('"analysis": "within"', '"analysis": "renamed"'))
        with pytest.raises(BidsfaceError, match="already a file of analysis renamed"):
            written(output, Results(figures=[twin]))

    @pytest.mark.parametrize(
        ("entities", "message"),
        [
            ({"label": "left M1"}, "entity label must be letters and digits only"),
            ({"label": ""}, "entity label"),
            ({"task": "a-b"}, "entity task"),
            ({"task": "näh"}, "entity task"),
            ({"roi": "A"}, "roi cannot stand in a file name"),
            ({"desc": "other"}, "sets the entities desc"),
            ({"sub": "02"}, "sets the entities sub"),
        ],
    )
    def test_entities_that_are_not_bids(self, output, entities, message):
        table = replace(example_table(), entities=entities)
        with pytest.raises(BidsfaceError, match=message):
            written(output, Results(tables=[table]))

    @pytest.mark.parametrize("name", ["left-M1", "a_b", "", "x.y", "../x"])
    def test_names_that_are_not_labels(self, output, name):
        region = Region(name, np.arange(3), "A region")
        figure = replace(example_results().figures[0], name=name)
        for results in (
            Results(parcellations=[Parcellation(example_voxels(), [region])]),
            Results(figures=[figure]),
        ):
            with pytest.raises(BidsfaceError, match="must be letters and digits only"):
                written(output, results)
        with pytest.raises(BidsfaceError, match="must be letters and digits only"):
            example_unit(name)
        with pytest.raises(BidsfaceError, match="must be letters and digits only"):
            example_unit("01", name)

    def test_a_table_of_unknown_suffix(self, output):
        table = replace(example_table(), suffix="accuracies")
        with pytest.raises(BidsfaceError, match="suffixes are scores, predictions"):
            written(output, Results(tables=[table]))

    def test_columns_without_description_and_descriptions_without_column(self, output):
        table = example_table()
        for columns in ({**COLUMNS, "more": Column("x")}, dict(list(COLUMNS.items())[1:])):
            with pytest.raises(BidsfaceError, match="columns without a description"):
                written(output, Results(tables=[replace(table, columns=columns)]))

    @pytest.mark.parametrize("name", ["session", "run", "label", "stat", "Description"])
    def test_columns_called_like_entities(self, output, name):
        with pytest.raises(BidsfaceError, match=f"columns called {name}"):
            written(output, one_table(**{name: ["1"]}))

    @pytest.mark.parametrize(
        ("value", "message"),
        [(np.inf, "infinite"), ("a\tb", "a tab or a line break"), ("a\nb", "a tab")],
    )
    def test_values_a_table_cannot_hold(self, output, value, message):
        with pytest.raises(BidsfaceError, match=message):
            written(output, one_table(value=[value]))

    @pytest.mark.parametrize("value", [np.inf, -np.inf, 1e300])
    def test_maps_with_infinite_values(self, output, value):
        values = np.zeros(30)
        values[3] = value
        with pytest.raises(BidsfaceError, match="infinite values"):
            written(output, Results(maps=[Map("t", values, example_voxels(), {}, "A map")]))

    @pytest.mark.parametrize(("shape", "volumes"), [((29,), ()), ((30, 2), ()), ((30, 2), ("a",))])
    def test_maps_that_do_not_fit_their_voxels(self, output, shape, volumes):
        item = Map("t", np.zeros(shape), example_voxels(), {}, "A map", volumes)
        with pytest.raises(BidsfaceError, match="has values of shape"):
            written(output, Results(maps=[item]))

    def test_models_with_objects(self, output):
        model = Model({"coef": np.array([{}])}, {}, {}, "A model")
        with pytest.raises(BidsfaceError, match="holds Python objects in coef"):
            written(output, Results(models=[model]))

    def test_models_whose_description_is_not_json(self, output):
        model = Model({"coef": np.ones(1)}, {"loss": np.nan}, {}, "A model")
        with pytest.raises(BidsfaceError, match="cannot be written"):
            written(output, Results(models=[model]))

    def test_citations_without_an_entry(self, output):
        with pytest.raises(BidsfaceError, match="cites unknown2001"):
            written(output, Results(methods="As in [@unknown2001]."))

    def test_units_of_no_level(self):
        with pytest.raises(BidsfaceError, match="level participant"):
            replace(example_unit(), participant=None)

    def test_paths_out_of_the_folder(self, output):
        for path in ("../x.html", "/x.html"):
            with pytest.raises(BidsfaceError, match="outside the output folder"):
                output.write_text(path, "")


class TestMaps:
    @pytest.mark.parametrize(
        ("space", "code"),
        [("MNI152NLin2009cAsym", 4), ("MNI152NLin6Asym", 4), ("T1w", 2), (None, 1)],
    )
    def test_header(self, output, space, code):
        written(output, example_results(space=space))
        for path in output.root.rglob("*.nii.gz"):
            header = nib.load(path).header
            assert header.get_xyzt_units() == ("mm", "sec")
            assert (header["sform_code"], header["qform_code"]) == (code, code)
            np.testing.assert_allclose(header.get_sform(), example_grid().affine)
            np.testing.assert_allclose(header.get_qform(), example_grid().affine, atol=1e-5)

    def test_values_lie_where_their_voxels_are(self, output):
        item = example_results().maps[1]
        written(output, Results(maps=[item]))
        image = nib.load(next(output.root.rglob("*.nii.gz")))
        assert image.get_data_dtype() == np.float32
        assert image.shape == (4, 5, 6, 2)
        expected = np.zeros((4, 5, 6, 2), np.float32)
        for row, flat in enumerate(item.voxels.index):
            expected[np.unravel_index(flat, (4, 5, 6))] = item.values[row]
        np.testing.assert_array_equal(image.get_fdata(), expected)

    @pytest.mark.parametrize(("stat", "fill"), [("t", 0.0), ("p", 1.0)])
    def test_voxels_without_value_get_that_of_no_effect(self, output, stat, fill):
        values = np.full(30, 0.5)
        values[4] = np.nan
        written(output, Results(maps=[Map(stat, values, example_voxels(), {}, "A map")]))
        found = nib.load(next(output.root.rglob("*.nii.gz"))).get_fdata().ravel()
        assert found[example_voxels().index[4]] == fill
        assert '"VoxelsWithoutValue": 1' in next(output.root.rglob("sub*.json")).read_text()

    @pytest.mark.parametrize("n_volumes", [0, 1, 5])
    @pytest.mark.parametrize("dtype", [float, np.float32, np.int64])
    @pytest.mark.parametrize("order", ["C", "F"])
    def test_bytes_are_those_of_a_whole_image(self, monkeypatch, n_volumes, dtype, order):
        monkeypatch.setattr(maps, "BLOCK_VALUES", 90)
        voxels = example_voxels()
        shape = (len(voxels.index), n_volumes) if n_volumes else (len(voxels.index),)
        values = 100 * np.random.default_rng(1).standard_normal(shape)
        values = np.array(values, dtype=dtype, order=order)
        image = np.zeros((4 * 5 * 6, *shape[1:]), np.float32)
        image[voxels.index] = values
        whole = nib.Nifti1Image(image.reshape(4, 5, 6, *shape[1:]), voxels.grid.affine)
        whole.set_sform(voxels.grid.affine, 4)
        whole.set_qform(voxels.grid.affine, 4)
        whole.header.set_xyzt_units("mm", "sec")
        names = [f"v{number}" for number in range(n_volumes)]
        found = b"".join(maps.map_file(Map("t", values, voxels, {}, "A map", names)))
        assert found == gzip.compress(whole.to_bytes(), compresslevel=6, mtime=0)

    def test_writing_holds_a_few_volumes(self, monkeypatch, tmp_path):
        grid = Grid((20, 22, 18), np.eye(4), "T1w")
        voxels = Voxels(grid, np.arange(2000, 6000))
        values = np.random.default_rng(2).standard_normal((100, 4000)).astype(np.float32).T
        item = Map("signal", values, voxels, {}, "Volumes", [f"v{number}" for number in range(100)])
        monkeypatch.setattr(maps, "BLOCK_VALUES", 4 * 4000)
        tracemalloc.start()
        try:
            missing = maps.count_missing(item)
            for _ in maps.map_file(item):
                pass
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert missing == 0
        assert peak < 0.2 * 100 * 20 * 22 * 18 * 4

    def test_volumes_are_read_block_by_block(self, output, monkeypatch):
        values = np.random.default_rng(3).standard_normal((30, 7))
        names = [f"v{number}" for number in range(7)]
        written(output, Results(maps=[Map("t", values, example_voxels(), {}, "Maps", names)]))
        (stored,) = output.participant_results("within")[0].maps
        voxels = example_voxels().take(np.arange(20))
        whole = stored.load(voxels)
        assert whole.dtype == np.float64
        blocks = list(stored.blocks(voxels, 3))
        assert [block.shape for block in blocks] == [(20, 3), (20, 3), (20, 1)]
        assert {block.dtype for block in blocks} == {np.dtype(np.float32)}
        np.testing.assert_array_equal(np.hstack(blocks), whole)
        monkeypatch.setattr(maps, "BLOCK_VALUES", 240)
        np.testing.assert_array_equal(stored.load(voxels), whole)
        plain = replace(stored, stream=None)
        np.testing.assert_array_equal(np.hstack(list(plain.blocks(voxels, 3))), whole)
        other = Voxels(Grid((4, 5, 6), 2 * np.eye(4), "T1w"), voxels.index)
        with pytest.raises(InputError, match="lie on different grids"):
            next(stored.blocks(other, 3))

    def test_blocks_of_a_file_that_ends_early(self, tmp_path):
        voxels = example_voxels()
        values = np.random.default_rng(3).standard_normal((30, 7))
        names = [f"v{number}" for number in range(7)]
        content = b"".join(maps.map_file(Map("t", values, voxels, {}, "Maps", names)))
        path = tmp_path / "cut.nii.gz"
        path.write_bytes(content[: len(content) // 2])
        where = (path, voxels.grid.space, voxels.grid.resolution, voxels)
        with pytest.raises(InputError, match=r"cut\.nii\.gz: cannot be read as an image"):
            maps.read_map(*where)
        with pytest.raises(InputError, match=r"cut\.nii\.gz: cannot be read as an image"):
            list(maps.map_blocks(*where, 2))

    def test_masks_hold_their_regions_and_may_overlap(self, output):
        written(output)
        found = {
            path.name.split("label-")[1][0]: np.asarray(nib.load(path).dataobj)
            for path in output.root.rglob("*_mask.nii.gz")
        }
        index = example_voxels().index
        assert np.flatnonzero(found["A"]).tolist() == index[:10].tolist()
        assert np.flatnonzero(found["B"]).tolist() == index[5:].tolist()
        assert found["A"].dtype == np.uint8

    def test_space_refers_to_a_file_in_it(self, output):
        written(output)
        text = next(output.root.rglob("*stat-z_statmap.json")).read_text()
        assert '"SpatialReference": "bids:fmriprep:sub-01/func/' in text


class TestTables:
    def test_numbers_round_trip(self, output):
        random = np.random.default_rng(3)
        values = random.normal(size=200) * 10.0 ** random.integers(-300, 300, size=200)
        whole = random.integers(-(2**62), 2**62, size=200)
        single = random.normal(size=200).astype(np.float32)
        written(output, one_table(value=values, n=whole, single=single))
        stored = output.participant_results("within")[0].table("scores")
        assert (stored["value"].to_numpy() == values).all()
        assert (stored["n"].to_numpy() == whole).all()
        assert (stored["single"].to_numpy() == single).all()
        assert stored["n"].dtype == np.int64

    @pytest.mark.parametrize(
        ("values", "expected"),
        [
            (["1", "02", "n/a"], ["1", "02", np.nan]),
            (["nan", "True", "1e5"], ["nan", "True", "1e5"]),
            ([1, 2, None], [1.0, 2.0, np.nan]),
            (pd.array([1, 2, None], dtype="Int64"), [1.0, 2.0, np.nan]),
            ([True, False, True], [True, False, True]),
            ([True, None, False], [True, np.nan, False]),
            ([1, 2.5, None], [1.0, 2.5, np.nan]),
            ([None, None, None], [np.nan, np.nan, np.nan]),
            (pd.Categorical(["b", "a", "b"]), ["b", "a", "b"]),
            (['say "x"', "'", '"'], ['say "x"', "'", '"']),
            (["mixed", 1, True], ["mixed", "1", "true"]),
            ([1, True, None], ["1", "true", np.nan]),
            (["", "a", "n/a"], [np.nan, "a", np.nan]),
        ],
    )
    def test_types_come_back(self, output, values, expected):
        written(output, one_table(value=values))
        found = output.participant_results("within")[0].table("scores")["value"].tolist()
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert type(one) is type(other)
            assert one == other or (one != one and other != other)

    def test_text_is_that_of_bids(self, output):
        written(output)
        text = next(output.root.rglob("*_scores.tsv")).read_text()
        assert text.splitlines()[:3] == [
            "roi_name\tfold\trun_index\tvalue\tp\tn\tsignificant",
            "A\t1\t1\t0.30000000000000004\t0.10000000149011612\t1\ttrue",
            "B\tmean\t2\tn/a\t0.20000000298023224\t2\tfalse",
        ]

    def test_empty_tables_keep_their_columns(self, output):
        written(output, one_table(value=np.array([], dtype=float)))
        assert list(output.participant_results("within")[0].table("scores")) == ["value"]

    def test_matrices_name_their_rows(self, output):
        frame = pd.DataFrame([[1, 2], [3, 4]], index=["joy", "1"], columns=["joy", "1"])
        written(output, Results(matrices=[Matrix(frame, {"label": "A"}, "Confusions")]))
        stored = output.participant_results("within")[0].table("relmat")
        assert stored.to_dict("list") == {"row_name": ["joy", "1"], "joy": [1, 3], "1": [2, 4]}

    def test_models_load_without_pickle(self, output):
        written(output)
        with np.load(next(output.root.rglob("*.npz")), allow_pickle=False) as arrays:
            assert arrays["coef"].shape == (3,)


class TestReading:
    def test_results_of_participants(self, output):
        for seed, label in enumerate(("02", "01")):
            unit = example_unit(label)
            output.write(unit, example_results(seed), example_provenance(label))
        output.record_failure(example_unit("03"), "broken", None)
        found = output.participant_results("within")
        assert [results.label for results in found] == ["01", "02"]
        assert [len(results.maps) for results in found] == [2, 2]
        item = found[0].maps[0]
        grid = item.grid()
        assert (grid.shape, grid.space, grid.resolution) == ((4, 5, 6), "MNI152NLin2009cAsym", "2")
        expected = example_results(1).maps[0]
        np.testing.assert_allclose(item.load(expected.voxels), expected.values, rtol=1e-6)
        several = found[0].maps[1].load(example_voxels())
        assert several.shape == (30, 2)

    def test_participants_in_the_order_asked_for(self, output):
        for label in ("01", "02", "10"):
            written(output, one_table(value=[1.0]), example_unit(label))
        found = output.participant_results("within", ["10", "01"])
        assert [results.label for results in found] == ["10", "01"]

    def test_absent_participants_are_named(self, output):
        written(output)
        with pytest.raises(InputError, match=r"no results for participants 02, 03; .* are 01"):
            output.participant_results("within", ["01", "02", "03"])

    def test_changed_files_are_named(self, output):
        written(output)
        path = next(output.root.rglob("*_predictions.tsv"))
        path.write_text("roi_name\nB\n")
        with pytest.raises(InputError, match=str(path)):
            output.participant_results("within")

    def test_maps_on_another_grid_are_refused(self, output):
        written(output)
        grid = example_grid()
        other = Voxels(Grid(grid.shape, grid.affine * 1.1, grid.space), np.arange(3))
        with pytest.raises(InputError, match="grid"):
            output.participant_results("within")[0].maps[0].load(other)


class TestScratch:
    def test_nothing_stays(self, output):
        written(output)
        with pytest.raises(BidsfaceError):
            written(output, Results(tables=[example_table()] * 2))
        assert list((output.state / "tmp").iterdir()) == []

    def test_of_dead_processes_is_removed_and_of_live_ones_kept(self, output):
        process = FORKSERVER.Process(target=_leave_scratch, args=(output.root,))
        process.start()
        process.join()
        dead = next((output.state / "tmp").iterdir())
        live = dead.with_name(dead.name.replace(f"-{process.pid}-", f"-{os.getpid()}-"))
        elsewhere = dead.with_name("elsewhere-1-abc")
        old = dead.with_name("elsewhere-2-abc")
        busy = dead.with_name("elsewhere-3-abc")
        for folder in (live, elsewhere, old, busy):
            folder.mkdir()
        for folder in (old, busy):
            (folder / "in-use.lock").touch()
            os.utime(folder, (1, 1))
        with locked(busy / "in-use.lock"):
            os.utime(busy, (1, 1))
            output.prepare({})
        assert set((output.state / "tmp").iterdir()) == {live, elsewhere, busy}

    def test_a_lock_of_a_dead_process_does_not_block(self, output):
        written(output)
        assert list((output.state / "locks").iterdir())
        written(output)

    def test_a_lock_that_is_held_is_waited_for_and_named(self, tmp_path):
        ready = FORKSERVER.Event()
        process = FORKSERVER.Process(target=_hold_lock, args=(tmp_path / "a.lock", ready))
        process.start()
        ready.wait()
        try:
            with (
                pytest.raises(BidsfaceError, match="another process"),
                locked(tmp_path / "a.lock", timeout=0.1),
            ):
                pass
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.join()
        with locked(tmp_path / "a.lock", timeout=0.1):
            pass


class TestKilled:
    """At whatever moment a process dies, nothing in place is torn, and a second run mends all."""

    def test_before_each_change_of_the_file_system(self, tmp_path):
        reference = _undisturbed(tmp_path / "reference")
        folder = OutputFolder(tmp_path / "out")
        folder.prepare({})
        kills = 0
        for number in range(1000):
            folder.write(example_unit(print_="old"), _old_results(), example_provenance())
            if _killed(_write_and_die, folder.root, number):
                kills += 1
                _check_nothing_is_torn(folder, reference, other_options=number % 2 == 0)
            else:
                break
        assert kills > 30
        assert data_files(folder) == reference

    def test_at_random_moments(self, tmp_path):
        reference = _undisturbed(tmp_path / "reference")
        folder = OutputFolder(tmp_path / "out")
        folder.prepare({})
        random = np.random.default_rng(0)
        interrupted = 0
        for _ in range(12):
            process = FORKSERVER.Process(target=_write_for_ever, args=(folder.root,))
            process.start()
            _wait_for(folder.state / "busy")
            time.sleep(float(random.uniform(0, 0.15)))
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            (folder.state / "busy").unlink()
            interrupted += any((folder.state / "tmp").iterdir())
            _check_nothing_is_torn(folder, reference)
        assert interrupted > 0

    def test_while_others_work_on_other_participants(self, tmp_path):
        folder = OutputFolder(tmp_path / "out")
        labels = ("01", "02", "03")
        processes = [
            FORKSERVER.Process(target=_prepare_and_write, args=(folder.root, label))
            for label in labels
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
            assert process.exitcode == 0
        assert all(folder.is_done(example_unit(label)) for label in labels)
        assert not any((folder.state / "tmp").iterdir())


def _new_results():
    results = example_results()
    return Results(maps=results.maps[:1], tables=results.tables, methods="New.")


def _old_results():
    """Results that share some names with the new ones, and have some of their own."""
    results = example_results(seed=5)
    extra = replace(example_table(), entities={"label": "old"})
    return Results(maps=results.maps[:1], tables=[results.tables[0], extra], methods="Old.")


def _undisturbed(root):
    folder = OutputFolder(root)
    folder.prepare({})
    written(folder, _new_results())
    return data_files(folder)


def _check_nothing_is_torn(folder, reference, other_options=False):
    """Check what a killed process left; then run again, as a user would."""
    old_unit, unit = example_unit(print_="old"), example_unit()
    files = data_files(folder)
    old = {path: content for path, content in files.items() if reference.get(path) != content}
    if folder.is_done(unit):
        assert files == reference
    elif not folder.is_done(old_unit):
        # Interrupted while files moved: every file is whole, an old one or a new one.
        known = _files_of_old_results(folder)
        assert all(known[path] == content for path, content in old.items())
    for receipt in folder.receipts():
        for record in receipt.files:
            assert hashlib.sha256(files[record.path]).hexdigest() == record.sha256
    assert all(
        path.replace(".json", "") in {other.split(".")[0] for other in files}
        for path in files
        if path.endswith(".json")
    )
    again = OutputFolder(folder.root)
    again.prepare({})
    if other_options:
        receipt = written(again, one_table(value=[1.0]), example_unit(print_="third"))
        assert set(data_files(again)) == {record.path for record in receipt.files}
    if not again.is_done(unit):
        written(again, _new_results())
    assert data_files(again) == reference
    assert not any((folder.state / "tmp").iterdir())


def _files_of_old_results(folder):
    other = OutputFolder(folder.root.parent / "old")
    if not other.root.exists():
        other.prepare({})
        other.write(example_unit(print_="old"), _old_results(), example_provenance())
    return data_files(other)


def _killed(target, *args):
    process = FORKSERVER.Process(target=target, args=args)
    process.start()
    process.join()
    assert process.exitcode in {0, -signal.SIGKILL}
    return process.exitcode != 0


CHANGES = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree"}


def _write_and_die(root: Path, number: int) -> None:
    """Write; die just before the change of the file system with this number."""
    seen = 0

    def count(event: str, arguments: tuple) -> None:
        nonlocal seen
        if event in CHANGES and str(arguments[0]).startswith(str(root)):
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)
            seen += 1

    results = _new_results()
    sys.addaudithook(count)
    OutputFolder(root).write(example_unit(), results, example_provenance())


def _write_for_ever(root: Path) -> None:
    folder = OutputFolder(root)
    old, new = _old_results(), _new_results()
    while True:
        folder.write(example_unit(print_="old"), old, example_provenance())
        (folder.state / "busy").touch()
        folder.write(example_unit(), new, example_provenance())


def _prepare_and_write(root: Path, label: str) -> None:
    folder = OutputFolder(root)
    folder.prepare({})
    for _ in range(3):
        folder.write(example_unit(label), _new_results(), example_provenance(label))


def _leave_scratch(root: Path) -> None:
    from bidsface.derivatives.locks import scratch_folder

    with scratch_folder(OutputFolder(root).state / "tmp"):
        os.kill(os.getpid(), signal.SIGKILL)


def _hold_lock(path: Path, ready) -> None:
    with locked(path):
        ready.set()
        time.sleep(60)


def _wait_for(path: Path) -> None:
    limit = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < limit
        time.sleep(0.005)
