"""Job templates: what a run's variables make of a pool's template."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from runyard.errors import InvalidInput
from runyard.orchestration import durations, exits, job_templates, limits
from runyard.orchestration.job_templates import check_spelling, default, resolve

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
    assert words in exits.describe_exit(code)
