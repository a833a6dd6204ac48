"""The two container recipes agree with the package and with each other (no image is built here)."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from bidsface.derivatives.description import CONTAINER_VARIABLES

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()
DEFINITION = (ROOT / "singularity.def").read_text()
RECIPES = {"Dockerfile": DOCKERFILE, "singularity.def": DEFINITION}


def instructions(name: str) -> list[str]:
    """Operands of one Dockerfile instruction, continued lines joined."""
    joined = re.sub(r"\\\n", " ", re.sub(r"(?m)^\s*#.*\n", "", DOCKERFILE))
    return re.findall(rf"(?m)^{name}\s+(.+)$", joined)


def section(name: str) -> str:
    """Body of one section of the Apptainer definition."""
    found = re.search(rf"(?ms)^%{name}\n(.*?)(?=^%|\Z)", DEFINITION)
    assert found is not None, f"singularity.def has no %{name}"
    return found.group(1)


def arguments() -> dict[str, dict[str, str]]:
    """Build arguments of each file with their defaults."""
    docker = (operand.partition("=") for operand in instructions("ARG"))
    apptainer = (line.strip().partition("=") for line in section("arguments").splitlines())
    return {
        "Dockerfile": {name: default for name, _, default in docker},
        "singularity.def": {name: default for name, _, default in apptainer if name},
    }


def copied() -> dict[str, set[str]]:
    """Paths of the repository that each file brings into the build."""
    docker = [operand.split() for operand in instructions("COPY") if "--from" not in operand]
    apptainer = [line.split() for line in section("files").splitlines() if line.strip()]
    return {
        "Dockerfile": {path for words in docker for path in words[:-1]},
        "singularity.def": {words[0] for words in apptainer},
    }


def labels() -> dict[str, dict[str, str]]:
    """Labels of each image, with the version filled in."""
    docker = re.findall(r'([\w.]+)="([^"]*)"', " ".join(instructions("LABEL")))
    apptainer = [line.split(maxsplit=1) for line in section("labels").splitlines() if line.strip()]
    return {
        "Dockerfile": dict(docker),
        "singularity.def": {
            key: value.replace("{{ VERSION }}", "${VERSION}") for key, value in apptainer
        },
    }


def environment() -> dict[str, dict[str, str]]:
    """Variables that each image sets."""
    pair = r"(\w+)=\"?([^\s\"]+)\"?"
    docker = re.findall(pair, " ".join(instructions("ENV")))
    exports = "\n".join(re.findall(r"(?m)^\s*export (.+)$", section("environment")))
    return {"Dockerfile": dict(docker), "singularity.def": dict(re.findall(pair, exports))}


def test_both_images_start_the_command() -> None:
    script = PROJECT["project"]["name"]
    assert script in PROJECT["project"]["scripts"]
    assert instructions("ENTRYPOINT") == [f'["{script}"]']
    assert section("runscript").strip() == f'exec {script} "$@"'


def test_both_images_have_the_same_base_allowed_by_the_package() -> None:
    bases = {operand.split()[0] for operand in instructions("FROM")}
    bases |= set(re.findall(r"(?m)^From: (\S+)$", DEFINITION))
    assert len(bases) == 1, f"the base images differ: {sorted(bases)}"
    found = re.fullmatch(r"python:(\d+)\.(\d+)-slim-\w+", bases.pop())
    assert found is not None
    oldest = PROJECT["project"]["requires-python"].removeprefix(">=").split(".")
    assert [int(part) for part in found.groups()] >= [int(part) for part in oldest]


def test_build_arguments_agree() -> None:
    docker, apptainer = arguments()["Dockerfile"], arguments()["singularity.def"]
    assert docker == apptainer
    assert docker["VERSION"] == PROJECT["project"]["version"]
    unknown = set(docker["EXTRAS"].split(",")) - PROJECT["project"]["optional-dependencies"].keys()
    assert not unknown, f"no such extra: {sorted(unknown)}"


def test_labels_agree_and_carry_the_version() -> None:
    docker, apptainer = labels()["Dockerfile"], labels()["singularity.def"]
    assert docker == apptainer
    assert docker["org.opencontainers.image.version"] == "${VERSION}"
    assert docker["org.opencontainers.image.licenses"] == PROJECT["project"]["license"]


@pytest.mark.parametrize("recipe", RECIPES)
def test_everything_that_the_wheel_is_made_of_is_copied_and_no_more(recipe: str) -> None:
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    needed = {"pyproject.toml", PROJECT["project"]["readme"], *PROJECT["project"]["license-files"]}
    needed |= {Path(package).parts[0] for package in wheel}
    assert copied()[recipe] == needed
    missing = [path for path in needed if not (ROOT / path).exists()]
    assert not missing, f"{recipe} copies what is not there: {missing}"


def test_docker_context_is_exactly_what_is_copied() -> None:
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in rules
    assert {rule[1:] for rule in rules if rule.startswith("!")} == copied()["Dockerfile"]


@pytest.mark.parametrize(
    ("recipe", "kind"), [("Dockerfile", "docker"), ("singularity.def", "singularity")]
)
def test_image_names_itself_for_the_output_description(recipe: str, kind: str) -> None:
    variables = environment()[recipe]
    assert variables[CONTAINER_VARIABLES["Type"]] == kind
    tag = variables[CONTAINER_VARIABLES["Tag"]].replace("{{ VERSION }}", "${VERSION}")
    assert tag.startswith("bidsface:")


@pytest.mark.parametrize("recipe", RECIPES)
def test_image_needs_no_writable_folder_but_tmp(recipe: str) -> None:
    variables = environment()[recipe]
    assert variables["PYTHONDONTWRITEBYTECODE"] == "1"
    for cache in ("MPLCONFIGDIR", "NUMBA_CACHE_DIR"):
        assert re.match(r"/tmp/|\$\{TMPDIR:-/tmp\}/", variables[cache])
    assert "HOME" not in variables


@pytest.mark.parametrize("recipe", RECIPES)
def test_nothing_of_one_workplace_is_written_down(recipe: str) -> None:
    code = re.sub(r"(?m)^\s*#.*$", "", RECIPES[recipe])
    settings = (
        r"(?i)proxy|https?://|trusted-host|find-links|--(?:extra-)?index-url|pip\.conf|\.crt\b"
    )
    assert not re.findall(settings, code)
