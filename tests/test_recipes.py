"""Every recipe that annatto brings along fits the functions it names."""

import shutil
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from annatto.app.bind import bind
from annatto.app.cli import app
from annatto.app.recipe import find, read
from annatto.app.run import plan
from annatto.app.shown import as_text

ROOT = Path(__file__).parents[1]
RECIPES = sorted((ROOT / "recipes").glob("*.toml"))


def test_the_three_recipes_are_there():
    assert {path.stem for path in RECIPES} == {"toy", "demo", "lg_anna"}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_fits_and_can_be_planned_without_its_models(path, tmp_path, monkeypatch):
    monkeypatch.setenv("ANNATTO_CACHE", str(tmp_path / "cache"))
    assert find(path.stem) == path
    recipe = read(path)
    steps = plan(recipe, tmp_path / "run")
    assert [step.call.stage.name for step in steps] == [stage.name for stage in recipe.stages]
    assert not any(step.is_kept for step in steps)
    assert not (tmp_path / "run").exists()
    assert as_text(steps).count("\n") > len(steps)


def test_the_wheel_takes_the_recipes_to_where_run_looks_for_them(tmp_path, monkeypatch):
    """The wheel puts recipes/ inside the package; there, too, `annatto run toy` finds them."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    included = settings["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    for here, there in included.items():
        shutil.copytree(ROOT / here, tmp_path / "site" / there)
    monkeypatch.setattr("annatto.app.recipe.files", lambda package: tmp_path / "site" / package)
    assert find("toy") == tmp_path / "site" / "annatto" / "recipes" / "toy.toml"
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["run", "--dry-run", "toy"])
    assert done.exit_code == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith("[1/")
    assert not (tmp_path / "runs").exists()


def test_the_toy_recipe_has_the_shape_of_the_demo():
    calls = [{c.stage.use: c.gives for c in bind(read(find(name)))} for name in ("toy", "demo")]
    assert set(calls[1]) <= set(calls[0])


@pytest.mark.parametrize("name", ["toy", "demo"])
def test_the_demo_finds_what_it_shows(name):
    stages = {stage.name for stage in read(find(name)).stages}
    assert {"evaluation", "report", "index"} <= stages


def test_the_7b_recipe_names_mistral_and_its_numbers_are_as_written_down():
    calls = {call.stage.name: call.resolved for call in bind(read(find("lg_anna")))}
    student = calls["student"]
    assert (student["lora_rank"], student["lora_alpha"], student["lr"]) == (32, 64, 1e-4)
    assert (student["batch_size"], student["temperature"], student["warmup"]) == (512, 0.02, 0.1)
    assert (calls["mined"]["k"], calls["mined"]["rho"]) == (7, 0.95)
    assert read(find("lg_anna")).models["mistral"]["weights"] == "mistralai/Mistral-7B-v0.1"
