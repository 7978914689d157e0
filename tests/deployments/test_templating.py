"""Placeholders: what is replaced, by what, and what is left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from runyard.deployments.placeholders import fill_placeholders

_words = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
_plain_text = st.text(max_size=20).filter(lambda text: "{" not in text and "}" not in text)
_scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _plain_text
_values = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_words, inner, max_size=4)
)


@given(_values)
def test_what_has_no_placeholder_stays_as_it_is(value):
    assert not fill_placeholders.has_placeholder(value)
    assert fill_placeholders.fill_outputs(value, {"a": 1}, lambda _: None) == value
    assert fill_placeholders.fill_environment(value, {"A": "1"}, lambda _: None) == value


@given(_words, _values.filter(lambda value: value is not None))
def test_a_placeholder_alone_keeps_the_type_wherever_it_stands(name, value):
    text = f"{{{{ {name} }}}}"
    assert fill_placeholders.fill_outputs({"key": [text]}, {name: value}) == {"key": [value]}


@given(_words, _plain_text, _plain_text, st.integers() | _plain_text)
def test_an_embedded_one_becomes_text(name, before, after, value):
    text = f"x{before}{{{{{name}}}}}{after}"
    assert fill_placeholders.fill_outputs(text, {name: value}) == f"x{before}{value}{after}"


@given(st.dictionaries(_words, _plain_text, min_size=1, max_size=4))
def test_environment_is_filled_before_outputs_and_never_confused_with_them(environment):
    value = {name: f"{{{{ ${name} }}}} {{{{ {name} }}}}" for name in environment}
    filled = fill_placeholders.fill_environment(value, environment)
    assert filled == {name: f"{text} {{{{ {name} }}}}" for name, text in environment.items()}


@given(_words, _words)
def test_what_is_put_in_is_not_searched_again(name, other):
    bomb = f"{{{{ {other} }}}}"
    assert fill_placeholders.fill_outputs(f"-{{{{ {name} }}}}", {other: 1, name: bomb}) == f"-{bomb}"


def test_outputs_are_found_by_path():
    outputs = {"build-image": {"tags": [{"name": "a"}], "size": 3}, "v1.2": {"x": 1}, "tag": "t"}
    assert fill_placeholders.fill_outputs("{{ build-image.tags[0].name }}", outputs) == "a"
    assert fill_placeholders.fill_outputs("{{build-image.size}}", outputs) == 3
    assert fill_placeholders.fill_outputs("{{ v1.2.x }}", outputs) == 1
    assert fill_placeholders.fill_outputs("{{ tag }}:{{ build-image.size }}", outputs) == "t:3"


@pytest.mark.parametrize("value", [{"gone": "{{ no.such }}"}, "v-{{ no.such }}", ["{{ no.such }}", 1]])
def test_a_missing_output_stays_until_the_last_pass_and_is_then_refused(value):
    assert fill_placeholders.fill_outputs(value, {"no": {}}) == value
    with pytest.raises(
        fill_placeholders.MissingValue, match=r"{{ no\.such }}: no step has the output 'no\.such'"
    ):
        fill_placeholders.fill_outputs(value, {"no": {}}, final=True)


def test_a_missing_output_names_one_that_may_be_meant():
    with pytest.raises(fill_placeholders.MissingValue, match=r"did you mean 'build\.image'"):
        fill_placeholders.fill_outputs("{{ build.imege }}", {"build": {"image": "x"}}, final=True)


def test_a_missing_environment_variable_is_refused_in_the_last_pass():
    assert fill_placeholders.fill_environment("{{ $GONE }}", {}) == "{{ $GONE }}"
    with pytest.raises(fill_placeholders.MissingValue, match="environment variable GONE is not set"):
        fill_placeholders.fill_environment("a {{ $GONE }}", {}, final=True)


@pytest.mark.parametrize("name", ["DB_PASSWORD", "API_KEY", "GITHUB_TOKEN", "MY_SECRET", "AUTH"])
def test_what_may_be_secret_is_left_for_where_the_run_is(name):
    value = {"env": {"A": f"{{{{ ${name} }}}}", "B": "{{ $HOME }}", "C": "{{ $UNSET }}"}}
    filled = fill_placeholders.fill_shareable_environment(
        value, {name: "hidden", "HOME": "/h", "MONKEY": "m"}
    )
    assert filled == {"env": {"A": f"{{{{ ${name} }}}}", "B": "/h", "C": "{{ $UNSET }}"}}


@pytest.mark.parametrize("name", ["MONKEY", "KEYBOARD", "AUTHOR", "TURKEY_URL", "PASSENGERS"])
def test_what_only_resembles_a_secret_is_filled_in(name):
    assert fill_placeholders.fill_shareable_environment(f"{{{{ ${name} }}}}", {name: "x"}) == "x"


def test_the_place_of_a_text_is_found():
    value = {"a": [{"b": 1}, {"c": "x {{ y }}"}], "d": "{{ z }}"}
    assert fill_placeholders.place_of(value, "{{ y }}") == ("a", 1, "c")
    assert fill_placeholders.place_of(value, "{{ z }}") == ("d",)
    assert fill_placeholders.place_of(value, "{{ no }}") == ()


def test_placeholders_of_the_worker_and_of_stored_objects_are_left_for_it():
    value = "{{ ctx.flow_run.id }} {{ prefect.variables.x }} {{ prefect.blocks.secret.y }}"
    assert fill_placeholders.fill_outputs(value, {"ctx": {}, "prefect": {}}, final=True) == value


def test_keys_are_not_templated():
    assert fill_placeholders.fill_outputs({"{{ a }}": 1}, {"a": "b"}) == {"{{ a }}": 1}
