import json

import pytest
import yaml

from bidsface.analyses import check_analyses
from bidsface.errors import RecipeError
from bidsface.plugins import load_plugins
from bidsface.recipe_loading import load_recipe, recipe_schema

MINIMAL = {
    "description": "one analysis",
    "samples": {"averages": {"kind": "average"}},
    "regions": {"brain": {"source": "brain-mask"}},
    "analyses": {"within": {"analysis": "decoding"}},
}


@pytest.fixture(scope="module")
def plugins():
    return load_plugins()


@pytest.fixture
def write(tmp_path):
    def write_recipe(**changes):
        path = tmp_path / "mine.yaml"
        path.write_text(yaml.safe_dump(MINIMAL | changes))
        return str(path)

    return write_recipe


def test_shipped_recipes_load(plugins):
    for name in plugins.recipes:
        assert load_recipe(name, plugins).recipe.name == name


def test_a_recipe_is_named_after_its_file(plugins, write):
    assert load_recipe(write(), plugins).recipe.name == "mine"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cleaning": {"high_pas": 128}}, r"key cleaning\.high_pas: unknown; allowed.*high_pass"),
        ({"cleaning": {"high_pass": -1}}, r"key cleaning\.high_pass: .*greater than 0"),
        ({"cleanings": {}}, r"key cleanings: unknown; allowed here: .*cleaning"),
        ({"samples": {"a": {"kind": "x"}}}, r"samples\.a\.kind: .*'volumes', 'average', 'lsa'"),
        ({"samples": {"a": {}}}, r"samples\.a\.kind: required"),
        ({"samples": {"a-b": {"kind": "lsa"}}}, r"samples\.a-b: .*pattern"),
        ({"regions": {"x": {"source": "cloud"}}}, r"regions\.x\.source: .*'cloud'.*brain-mask"),
        (
            {"regions": {"x": {"source": "grey-matter", "treshold": 1}}},
            r"regions\.x\.treshold: unknown; allowed here: .*threshold",
        ),
        ({"analyses": {"data": {"analysis": "decoding"}}}, r"analyses\.data: .*something else"),
        ({"region_sets": {"face": ["nose"]}}, r"region_sets\.face: no region 'nose'.*brain"),
        ({"analyses": {"w": {"analysis": "divine"}}}, r"analyses\.w\.analysis.*'divine'.*decoding"),
        (
            {"analyses": {"w": {"analysis": "decoding", "permutation": 1}}},
            r"analyses\.w\.permutation: unknown; allowed here: .*permutations",
        ),
        (
            {"analyses": {"w": {"analysis": "decoding", "permutations": -1}}},
            r"analyses\.w\.permutations: .*greater than",
        ),
    ],
)
def test_errors_point_at_the_key_and_say_what_is_allowed(plugins, write, changes, message):
    with pytest.raises(RecipeError, match=message) as caught:
        load_recipe(write(**changes), plugins)
    assert "mine.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_recipe_lists_the_shipped_ones(plugins):
    with pytest.raises(RecipeError, match=r"nonsense.*decode-tasks"):
        load_recipe("nonsense", plugins)


@pytest.mark.parametrize("text", ["{", "- a", "a: b: c"])
def test_files_that_are_no_recipe(plugins, tmp_path, text):
    path = tmp_path / "odd.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=r"odd\.yaml") as caught:
        load_recipe(str(path), plugins)
    assert "\n" not in str(caught.value)


def test_set_overrides_a_key_and_is_recorded(plugins):
    loaded = load_recipe(
        "decode-tasks",
        plugins,
        ["analyses.within.permutations=50", "inputs.tasks=[display]", "cleaning.confounds=none"],
    )
    assert loaded.options["within"].permutations == 50
    assert loaded.recipe.inputs.tasks == ("display",)
    assert loaded.recipe.cleaning.confounds == "none"
    assert yaml.safe_load(loaded.text)["analyses"]["within"]["permutations"] == 50


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("analyses.within", "KEY=VALUE"),
        ("analyses.wihtin.permutations=5", "no key 'wihtin'.*within"),
        ("analyses.within.permutatons=5", "permutatons: unknown"),
        ("cleaning.high_pass=[", "not valid YAML"),
        ("name.x=1", "has no keys"),
    ],
)
def test_bad_overrides(plugins, override, message):
    with pytest.raises(RecipeError, match=message):
        load_recipe("decode-tasks", plugins, [override])


def test_the_record_of_an_earlier_run_is_a_recipe(plugins, write, tmp_path):
    content = load_recipe(write(), plugins).content
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"bidsface": "0", "arguments": {}, "recipe": content}))
    loaded = load_recipe(str(path), plugins)
    assert loaded.recipe.name == "mine"
    assert loaded.content == content


def test_only_the_named_analyses_run(plugins, write):
    path = write(analyses={"a": {"analysis": "decoding"}, "b": {"analysis": "decoding"}})
    assert list(load_recipe(path, plugins, only=["b"]).options) == ["b"]
    with pytest.raises(RecipeError, match=r"--analysis c: .*a, b"):
        load_recipe(path, plugins, only=["c"])


def test_recipes_without_samples_are_for_analyses_that_need_none(plugins, write):
    analyses = {"task": {"analysis": "glm"}, "within": {"analysis": "decoding"}}
    path = write(samples={}, analyses=analyses)
    with pytest.raises(RecipeError, match=r"key analyses\.within: decoding works on samples"):
        check_analyses(load_recipe(path, plugins), plugins, 1)
    check_analyses(load_recipe(path, plugins, only=["task"]), plugins, 1)


def test_recipes_without_regions_are_for_analyses_that_need_none(plugins, write):
    kinds = ("decoding", "crossmodal", "searchlight", "rsa", "facs", "glm", "signature")
    needs = {kind: plugins.analyses[kind].needs_regions for kind in kinds}
    assert [kind for kind in kinds if not needs[kind]] == ["glm", "signature"]
    analyses = {"task": {"analysis": "glm"}, "within": {"analysis": "decoding"}}
    path = write(regions={}, analyses=analyses)
    with pytest.raises(RecipeError, match=r"key analyses\.within: decoding works in regions"):
        check_analyses(load_recipe(path, plugins), plugins, 1)
    check_analyses(load_recipe(path, plugins, only=["task"]), plugins, 1)


def test_schema_accepts_the_shipped_recipes_and_refuses_a_misspelled_option(plugins):
    import jsonschema

    schema = json.loads(json.dumps(recipe_schema(plugins)))
    content = yaml.safe_load(plugins.recipes["decode-tasks"].read_text())
    jsonschema.validate(content, schema)
    content["analyses"]["within"]["permutatons"] = 1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(content, schema)
