"""Real data: eight object categories (Haxby et al. 2001), against an independent script."""

import importlib.util
from pathlib import Path

import pytest

pytestmark = pytest.mark.shared_data


@pytest.fixture(scope="module")
def script():
    path = Path(__file__).parents[1] / "benchmarks" / "haxby.py"
    spec = importlib.util.spec_from_file_location("haxby", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_eight_categories_with_the_default_recipe(shared_data, script, tmp_path):
    data = shared_data / "haxby2001-slice"
    ours = script.with_bidsface(data, tmp_path)
    theirs = script.plain(data, script.MOTION6)
    for name, (accuracy, n) in theirs.items():
        assert abs(ours.loc[name, "value"] - accuracy) * n <= 1
    assert ours.loc["averages", "value"] >= 0.55
    assert ours.loc["averages", "p"] <= 0.01
    assert ours.loc["volumes", "value"] >= 0.33
