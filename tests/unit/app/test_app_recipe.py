import pytest

from annatto.app.recipe import find, parse, read
from annatto.core.errors import InputError, UsageError

STAGE = '[[stage]]\nname = "a"\nuse = "data.fake.begin"\n'


def test_a_recipe_keeps_stages_in_order_with_inputs_and_settings_apart():
    recipe = parse(
        '[models.m]\nweights = "tiny"\nlayers = 2\n'
        + STAGE
        + '[[stage]]\nname = "b"\nuse = "mine.pool.pool"\n'
        'inputs = {collection = "a", encoders = ["m"], systems = {"M" = "m"}}\ndepth = 5\n'
    )
    assert recipe.models == {"m": {"weights": "tiny", "layers": 2}}
    assert [stage.name for stage in recipe.stages] == ["a", "b"]
    assert recipe.stages[1].inputs == {
        "collection": "a",
        "encoders": ("m",),
        "systems": {"M": "m"},
    }
    assert recipe.stages[1].settings == {"depth": 5}


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("[[stage]\n", UsageError, "recipe is not valid TOML.*line 1"),
        ("", UsageError, r"has no stage; begin one with \[\[stage\]\]"),
        ("[model.x]\n" + STAGE, UsageError, "unknown table 'model'; did you mean models"),
        ("[[stage]]\nuse = 'x'\n", UsageError, "stage 1 needs name"),
        ("[[stage]]\nname = 'x'\n", UsageError, "stage 1 needs use"),
        (STAGE + STAGE, UsageError, "the name 'a' is given twice"),
        ("[[stage]]\nname = 'state'\nuse = 'x'\n", UsageError, "'state' cannot be a name"),
        ("[[stage]]\nname = '../x'\nuse = 'x'\n", UsageError, "'../x' cannot be a name"),
        (STAGE + "inputs = {collection = 3}\n", UsageError, "must be the name of a stage"),
        (STAGE + "inputs = 'b'\n", UsageError, "inputs must be a table"),
        ("models = 3\n" + STAGE, UsageError, "must hold tables"),
        ("[models.m]\nlayers = 2\n" + STAGE, UsageError, r"\[models.m\] needs weights"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_one_sentence(text, error, message):
    with pytest.raises(error, match=message):
        parse(text)


def test_recipes_brought_along_are_found_by_name():
    assert find("toy").name == "toy.toml"


def test_a_file_goes_before_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toy").write_text(STAGE)
    assert read(find("toy")).stages[0].name == "a"


def test_an_unknown_recipe_names_those_there_are():
    with pytest.raises(UsageError, match="no recipe file tyo; did you mean toy"):
        find("tyo")


def test_a_recipe_that_is_not_text_is_named(tmp_path):
    (tmp_path / "r.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"cannot read the recipe .*r.toml"):
        read(tmp_path / "r.toml")
