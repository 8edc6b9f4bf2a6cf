import pytest

from annatto.app.bind import bind, find_function
from annatto.app.recipe import parse
from annatto.core.errors import UsageError

BEGIN = '[[stage]]\nname = "begin"\nuse = "data.fake.begin"\n'


def stage(name, use, *rest):
    return "\n".join([f'[[stage]]\nname = "{name}"\nuse = "data.fake.{use}"', *rest, ""])


def test_the_stage_before_is_the_default_input(fake):
    calls = bind(parse(BEGIN + stage("small", "limit", "queries = 3")))
    assert calls[1].inputs == {"collection": "begin"}
    assert calls[1].settings == {"queries": 3}
    assert calls[1].version == 3


def test_defaults_stand_among_the_resolved_settings(fake):
    assert bind(parse(BEGIN))[0].resolved == {"seed": 0, "source": ""}


def test_fields_of_settings_are_keys_of_the_stage(fake):
    call = bind(parse(BEGIN + stage("r", "resume", "lr = 1")))[1]
    assert call.settings == {"settings": fake.Settings(steps=5, lr=1.0)}
    assert call.resolved == {"steps": 5, "lr": 1.0}
    assert call.places == ("work",)


def test_several_inputs_have_names_of_their_own(fake):
    text = BEGIN + stage("small", "limit")
    text += stage("r", "report", 'inputs = {collections = {"all" = "begin", "few" = "small"}}')
    call = bind(parse(text))[2]
    assert call.gives == "folder"
    assert call.reads() == ("begin", "small")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (stage("a", "begn"), "no stage 'data.fake.begn'; did you mean data.fake.begin"),
        (stage("a", "begin", "sed = 3"), "has no setting 'sed'; did you mean seed"),
        (stage("a", "begin", "seed = 'x'"), "seed must be a whole number; found 'x'"),
        (BEGIN + stage("r", "resume", "stepz = 1"), "no setting 'stepz'; did you mean steps"),
        (stage("a", "limit"), 'needs inputs = {collection = "…"}: a collection'),
        (
            BEGIN + stage("a", "limit", 'inputs = {colection = "begin"}'),
            "reads no 'colection'; did you mean collection",
        ),
        (
            BEGIN + stage("a", "limit", 'inputs = {collection = "begn"}'),
            "'begn', which is no stage or model; did you mean begin",
        ),
        (
            stage("a", "limit", 'inputs = {collection = "b"}') + stage("b", "limit"),
            "names 'b', which is this stage or comes after it",
        ),
        (
            stage("a", "limit", 'inputs = {collection = "a"}'),
            "names 'a', which is this stage or comes after it",
        ),
        (
            BEGIN + stage("a", "limit", 'inputs = {collection = ["begin"]}'),
            "must be one name; found names",
        ),
        (
            BEGIN + stage("a", "encode", 'inputs = {encoders = "begin"}'),
            "encoders must be a list of names; found a name",
        ),
        (
            BEGIN + stage("a", "encode", 'inputs = {encoders = ["begin"]}'),
            "encoders needs a model; 'begin' is a collection",
        ),
        (BEGIN + stage("a", "strange"), "which a recipe cannot keep"),
    ],
)
def test_a_recipe_that_does_not_fit_its_functions_is_one_sentence(fake, text, message):
    with pytest.raises(UsageError, match=message):
        bind(parse(text))


@pytest.mark.parametrize(
    ("use", "message"),
    [
        ("os.system", "must begin with one of data, mine"),
        ("core.store.save", "must begin with one of"),
        ("app.run.execute", "must begin with one of"),
        ("mine.pol.pool", "did you mean mine.pool"),
        ("mine.pool", "there is no stage 'mine.pool'"),
        ("mine.pool.pool.__globals__", "there is no stage"),
        ("mine.pool._run", "there is no stage"),
        ("mine.pool.concat", "there is no stage"),
        ("mine.pool.pool()", "must begin with one of"),
    ],
)
def test_only_stages_of_the_pipeline_can_be_named(use, message):
    with pytest.raises(UsageError, match=message):
        find_function(use, "stage 'a'")


def test_an_unknown_model_setting_names_the_nearest():
    text = '[models.m]\nweights = "tiny"\npoling = "last"\n' + BEGIN
    with pytest.raises(UsageError, match=r"\[models.m\] has no setting 'poling'; did you mean po"):
        bind(parse(text))


def test_rules_mixtures_and_the_report_of_mining_are_stages(fake):
    rest = [
        '[[stage]]\nname = "both"\nuse = "mine.teach.mix"\nfirst = "t:a"\nsecond = "t:b"\n',
        '[[stage]]\nname = "mined"\nuse = "mine.margin.choose"\nsource = "t"\nmargin = "absolute"\n'
        "cut = 1\namong = 20\n",
        '[[stage]]\nname = "page"\nuse = "mine.report.write"\nsource = "t"\n',
    ]
    mixed, mined, page = bind(parse("\n".join([BEGIN, *rest])))[1:]
    assert mixed.resolved["share"] == 0.8
    assert mined.settings["settings"].name == "absolute(cut=1, among=20)"
    assert mined.version == 3
    assert (page.inputs, page.gives) == ({"collection": "mined"}, "folder")
    with pytest.raises(UsageError, match="margin cannot be 'relativ'; did you mean relative"):
        bind(parse("\n".join([BEGIN, rest[1].replace("absolute", "relativ")])))
