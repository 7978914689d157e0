"""Job templates: what a run's variables make of a pool's template."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from runyard.base.errors import InvalidInput
from runyard.domain import durations, exit_codes, job_templates, limits
from runyard.domain.job_templates import check_spelling, default, resolve

NAMES = st.text("abcXYZ_", min_size=1, max_size=4)
# No system takes a NUL in a variable.
ENV = st.dictionaries(
    NAMES, st.text(st.characters(exclude_characters="\0"), max_size=5).filter(lambda text: "{{" not in text)
)


@pytest.mark.parametrize("kind", job_templates.known_types())
def test_every_types_own_template_is_sound(kind):
    template = default(kind)
    job_templates.check_template(template)
    assert resolve(template)["env"] == {}
    default(kind)["variables"].clear()
    assert default(kind)["variables"]


def test_a_type_that_is_nearly_one_of_ours_is_refused():
    with pytest.raises(InvalidInput, match="did you mean 'docker'"):
        check_spelling("dokcer")
    check_spelling("ecs")
    check_spelling("mine")


def test_a_type_of_other_workers_has_an_empty_template():
    assert default("ecs") == {"job_configuration": {}, "variables": {"type": "object", "properties": {}}}


def test_the_run_goes_before_the_deployment_and_that_before_the_default():
    found = resolve(
        default("process"),
        {"working_dir": "/a", "stream_output": False, "env": {"A": "1", "B": "1"}},
        {"working_dir": "/b", "env": {"B": "2", "C": None}, "env.D": "4"},
    )
    assert found["working_dir"] == "/b"
    assert found["stream_output"] is False
    assert found["env"] == {"A": "1", "B": "2", "C": None, "D": "4"}
    assert not {"command", "name", "python"} & set(found)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"stream_output": "yes please"}, "'stream_output'"),
        ({"env": {"A": 1}}, "'env.A'"),
        ({"working_dir": ["/a"]}, "'working_dir'"),
    ],
)
def test_a_variable_of_the_wrong_type(variables, words):
    with pytest.raises(InvalidInput, match=words):
        resolve(default("process"), variables)


def test_unknown_variables_are_refused_where_the_template_says_so():
    template = default("process")
    resolve(template, {"workingdir": "/a"})
    template["variables"]["additionalProperties"] = False
    with pytest.raises(InvalidInput, match="'workingdir'; did you mean 'working_dir'"):
        resolve(template, {"workingdir": "/a"})


def test_placeholders_within_text_and_from_the_context():
    template = {
        "job_configuration": {
            "name": "{{ ctx.flow_run.name }}-{{ suffix }}",
            "command": "run --region {{ $REGION }}",
            "env": {"FIXED": "1", "REGION": "{{ $REGION }}", "GONE": "{{ $NOTHING }}"},
            "args": ["{{ count }}", "{{ nothing }}"],
        },
        "variables": {"properties": {"suffix": {"default": "x"}, "count": {"type": "integer"}}},
    }
    context = {"ctx": {"flow_run": {"name": "calm-otter"}}, "env": {"REGION": "eu"}}
    before = copy.deepcopy(template)
    found = resolve(template, {"count": 3, "env": {"MORE": "{{ ctx.flow_run.name }}"}}, None, context)
    assert found == {
        "name": "calm-otter-x",
        "command": "run --region eu",
        "env": {"FIXED": "1", "REGION": "eu", "MORE": "calm-otter"},
        "args": [3],
    }
    assert template == before


def of(variables, required=(), **configuration):
    """A template of one's own."""
    schema = {"type": "object", "properties": variables, "required": list(required)}
    return {"job_configuration": configuration, "variables": schema}


@pytest.mark.parametrize(
    "text", ["{{ ref('model') }}", "{{.ID}}", "a {{ nope }} b", "{{ nope }}", "{{ x | upper }}", "{{}}"]
)
def test_braces_that_are_no_placeholder_are_texts_of_others(text):
    template = of({"said": {"type": "string"}}, command="{{ said }}", args=["{{ ref('model') }}"])
    assert resolve(template, {"said": text}) == {"command": text, "args": ["{{ ref('model') }}"]}


def test_the_environment_as_a_whole_is_no_value():
    template = default("docker")
    del template["variables"]["properties"]["env"]["default"]
    context = {"env": {"PASSWORD_OF_THE_WORKER": "x"}, "ctx": {}}
    assert "env" not in resolve(template, {}, {}, context)
    assert resolve(template, {"env": {"A": "{{ env }}", "B": "{{ $ }}"}}, {}, context)["env"] == {}


@pytest.mark.parametrize("given", ["l", "{{ $SIZE }}", "{{ env.SIZE }}", "l{{ $NOTHING }}"])
def test_what_a_pool_limits_is_limited_also_where_a_placeholder_stands_for_it(given):
    template = of({"size": {"type": "string", "enum": ["s", "m"]}}, command="{{ size }}")
    with pytest.raises(InvalidInput, match="'size' must be one of"):
        resolve(template, {"size": given}, None, {"env": {"SIZE": "l"}})
    assert resolve(template, {"size": "{{ $SIZE }}"}, None, {"env": {"SIZE": "m"}}) == {"command": "m"}


def test_a_placeholder_without_a_value_leaves_the_default():
    template = of({"size": {"default": "s"}}, command="{{ size }}")
    assert resolve(template, {"size": "{{ $NOTHING }}"}) == {"command": "s"}


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("stop_grace_seconds", "60", 60),
        ("auto_remove", "false", False),
        ("volumes", '["/a:/b"]', ["/a:/b"]),
        ("extra_hosts", '{"db": "10.0.0.7"}', {"db": "10.0.0.7"}),
        ("command", "60", "60"),
    ],
)
def test_a_text_of_the_environment_is_read_as_the_variable_asks(name, text, value):
    assert resolve(default("docker"), {name: "{{ $GIVEN }}"}, None, {"env": {"GIVEN": text}})[name] == value


def test_a_required_variable_without_a_value_is_refused():
    template = of({"size": {"type": "string"}}, ["size"], command="{{ size }}")
    with pytest.raises(InvalidInput, match="required job variable 'size' has no value"):
        resolve(template)
    assert resolve(template, {}, {"size": "s"}) == {"command": "s"}


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("stop_grace_seconds", "soon", "must be a number"),
        ("stream_output", 5, "must be true or false"),
        ("env", "text", "must be a mapping"),
        ("env", {"A=B": "1"}, "is not a valid variable name"),
        ("command", 5, "must be a text or a list"),
    ],
)
def test_what_workers_read_is_checked_where_a_template_leaves_it_open(name, value, words):
    with pytest.raises(InvalidInput, match=f"job configuration: {name}.*{words}"):
        resolve(of({"any": {}}, **{name: "{{ any }}"}), {"any": value})


def test_a_dotted_name_is_checked_with_the_default_around_it():
    box = {
        "type": "object",
        "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
        "required": ["a", "b"],
        "default": {"a": 1, "b": 2},
    }
    assert resolve(of({"box": box}, box="{{ box }}"), {"box.a": 7})["box"] == {"a": 7, "b": 2}


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("string", "must be a JSON schema"),
        ({"type": "strin"}, "size.type must be one of null, boolean"),
        ({"anyOf": [{"type": "integer"}, {"type": "nul"}]}, r"size.anyOf\[1\].type"),
        ({"type": "integer", "default": "x"}, 'size.default must be a whole number, not "x"'),
        ({"$ref": "#/$defs/Nothing"}, "which does not exist"),
        ({"$ref": "#/$defs/A"}, "which points back to it"),
        ({"type": "string", "pattern": "("}, "pattern is not a valid regular expression"),
    ],
)
def test_variables_that_are_no_json_schemas_are_refused(entry, words):
    template = of({"size": entry}, command="{{ size }}")
    template["variables"]["$defs"] = {"A": {"$ref": "#/$defs/B"}, "B": {"$ref": "#/$defs/A"}}
    with pytest.raises(InvalidInput, match=words):
        job_templates.check_template(template)


@pytest.mark.parametrize(
    "entry",
    [
        {"$ref": "#/$defs/Size", "default": "s"},
        {"type": "integer", "default": "{{ prefect.variables.size }}"},
        {"type": "object", "required": ["name"], "default": {"$ref": {"block_document_id": "x"}}},
        {"type": ["string", "null"], "default": None},
        {"title": "anything"},
    ],
)
def test_variables_that_are_sound(entry):
    template = of({"size": entry}, command="{{ size }}")
    template["variables"]["$defs"] = {"Size": {"enum": ["s", "m"]}}
    job_templates.check_template(template)


@given(ENV, ENV)
def test_env_is_merged_key_by_key(below, above):
    found = resolve(default("process"), {"env": below}, {"env": above})
    assert found["env"] == {**below, **above}


@given(st.one_of(st.none(), st.integers(0, 9)), st.integers(0, 20))
def test_free_slots_are_never_negative(limit, used):
    left = limits.free(limit, used)
    assert left is None if limit is None else left == max(0, limit - used)
    assert limits.least(None, left) == left


@given(st.floats(0, 1e9))
def test_durations_are_short_and_have_no_zero_parts(seconds):
    words = durations.in_words(seconds).split(" ")
    assert len(words) <= 4
    assert seconds < 0.5 or "0" not in words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "less than a second"), (125, "2 min 5 s"), (3600, "1 h"), (93_600, "1 day 2 h"), (9e5, "10 days")],
)
def test_durations(seconds, words):
    assert durations.in_words(seconds) == words


@pytest.mark.parametrize(
    ("code", "words"),
    [(-9, "memory"), (-11, "SIGSEGV"), (127, "not found"), (42, "See the logs"), (-99, "99")],
)
def test_exit_codes(code, words):
    assert words in exit_codes.describe_exit(code)
