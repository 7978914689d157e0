"""The helpers of `prefect.utilities` give what Prefect 3.8.8 gives, recorded here."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import pydantic
import pytest
from runyard.prefect_names import moments
from runyard.prefect_names.utilities import (
    callables,
    collections,
    hashing,
    image_names,
    importtools,
    models,
    path_names,
    process_names,
    slugs,
)


class Color(collections.AutoEnum):
    RED = collections.AutoEnum.auto()
    DARK = "dark"


def function(a, b: int = 2, *args, c, **kw):
    """Doc.

    Args:
        a: the first
    """
    return a, b, args, c, kw


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (Color.RED == "RED", True),
        ((repr(Color.RED), str(Color.RED), Color("dark")), ("Color.RED", "Color.RED", Color.DARK)),
        (collections.listrepr([1, "a"]), "1 'a'"),
        (collections.listrepr(["a", "b"], sep=", "), "'a', 'b'"),
        (
            collections.dict_to_flatdict({"a": {"b": 1, "c": {"d": 2}}, "e": 3, "x": {}}),
            {("a", "b"): 1, ("a", "c", "d"): 2, ("e",): 3, ("x",): {}},
        ),
        (collections.flatdict_to_dict({("a", "b"): 1, ("e",): 3}), {"a": {"b": 1}, "e": 3}),
        (list(collections.batched_iterable([1, 2, 3, 4, 5], 2)), [(1, 2), (3, 4), (5,)]),
        ([collections.isiterable(each) for each in ("a", b"a", [1], 5)], [False, False, True, False]),
        ((collections.ensure_iterable(1), collections.ensure_iterable((1,))), ([1], (1,))),
        (collections.extract_instances([1, "a", 2.0], int), [1]),
        (collections.extract_instances([1, "a", 2.0], (int, str)), {int: [1], str: ["a"]}),
        (
            collections.remove_nested_keys(["a"], {"a": 1, "b": {"a": 2, "c": 3}, "d": [{"a": 1}]}),
            {"b": {"c": 3}, "d": [{"a": 1}]},
        ),
        (list(collections.distinct(["a", "bb", "c"], key=len)), ["a", "bb"]),
        (collections.get_from_dict({"a": {"b": [1, 2]}}, "a.b[1]"), 2),
        (collections.get_from_dict({"a": 1}, "a.z", 5), 5),
        (
            collections.deep_merge({"a": {"b": 1}, "x": 1}, {"a": {"c": 2}, "x": 2}),
            {"a": {"b": 1, "c": 2}, "x": 2},
        ),
        (
            collections.deep_merge_dicts({"a": 1}, {"b": {"c": 1}}, {"b": {"d": 2}}),
            {"a": 1, "b": {"c": 1, "d": 2}},
        ),
        (
            callables.get_call_parameters(function, (1,), {"c": 3, "z": 9}),
            {"a": 1, "b": 2, "args": (), "c": 3, "kw": {"z": 9}},
        ),
        (
            callables.get_call_parameters(function, (1, 2, 3), {"c": 3}),
            {"a": 1, "b": 2, "args": (3,), "c": 3, "kw": {}},
        ),
        (
            callables.get_call_parameters(function, (1,), {"c": 3}, apply_defaults=False),
            {"a": 1, "c": 3},
        ),
        (callables.get_parameter_defaults(function), {"b": 2}),
        (
            callables.parameters_to_args_kwargs(
                function, {"a": 1, "b": 2, "args": (3, 4), "c": 5, "kw": {"z": 1}}
            ),
            ((1, 2, 3, 4), {"c": 5, "z": 1}),
        ),
        (callables.parameters_to_args_kwargs(function, {"c": 5}), ((), {"c": 5})),
        (callables.parameters_to_args_kwargs(lambda a, b: 0, {"b": 5}), ((), {"b": 5})),
        (callables.call_with_parameters(function, {"a": 1, "b": 2, "c": 5}), (1, 2, (), 5, {})),
        (
            callables.collapse_variadic_parameters(function, {"a": 1, "c": 2, "z": 3}),
            {"a": 1, "c": 2, "kw": {"z": 3}},
        ),
        (callables.explode_variadic_parameter(function, {"a": 1, "kw": {"z": 3}}), {"a": 1, "z": 3}),
        (callables.parameter_docstrings(function.__doc__), {"a": "the first"}),
        (
            callables.parameter_schema(function).properties["b"],
            {"default": 2, "position": 1, "title": "b", "type": "integer"},
        ),
        (callables.parameter_schema(lambda: None).model_dump_for_openapi().get("required"), None),
        (slugs.truncated_to(5, "hello world"), "hello world"),
        (slugs.truncated_to(20, "x" * 100), "x" * 10 + "...80 additional characters..." + "x" * 10),
        (slugs.truncated_to(5, None), ""),
        (slugs.fuzzy_match_string("flwo", ["flow", "task"]), "flow"),
        (slugs.fuzzy_match_string("zz", ["flow"]), None),
        ((slugs.obfuscate("secretvalue"), slugs.obfuscate("secretvalue", True)), ("********", "*******e")),
        (slugs.obfuscate_string("abcdefghijklmnop", True), "****mnop"),
        (slugs.slugify("Héllo Wörld! x_y"), "hello-world-x-y"),
        (slugs.slugify("My Flow/Name--a"), "my-flow-name-a"),
        ((slugs.slugify("aaaaaa", max_length=4), slugs.slugify("a b", separator="_")), ("aaaa", "a_b")),
        (slugs.slugify("ß æ Ł"), "ss-ae-l"),
        (len(slugs.generate_slug(2).split("-")), 2),
        ([path_names.is_local_path(each) for each in ("s3://x/y", "/a", "file:///a")], [False, True, True]),
        ((path_names.filename("s3://a/b.txt"), path_names.filename("/a/b.txt")), ("b.txt", "b.txt")),
        (path_names.relative_path_to_current_platform("a\\b\\c.py").as_posix(), "a/b/c.py"),
        (importtools.to_qualified_name(datetime), "datetime.datetime"),
        (importtools.from_qualified_name("datetime.datetime"), datetime),
        (importtools.import_object("json:dumps").__name__, "dumps"),
        (importtools.import_object("json.dumps").__name__, "dumps"),
        (importtools.load_module("json").__name__, "json"),
        (image_names.parse_image_tag("a/b:c"), ("a/b", "c")),
        (image_names.parse_image_tag("reg:5000/a"), ("reg:5000/a", None)),
        (image_names.parse_image_tag("a@sha256:ff"), ("a", "sha256:ff")),
        (image_names.split_repository_path("a/b/c"), ("a/b", "c")),
        (image_names.split_repository_path("c"), (None, "c")),
        (process_names.command_from_string(process_names.command_to_string(["a", "b c"])), ["a", "b c"]),
        (process_names.get_sys_executable(), sys.executable),
        (moments.parse_datetime("2024-01-02"), datetime(2024, 1, 2, tzinfo=UTC)),
        (moments.parse_datetime("2024-01-02T03:04:05Z"), datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (moments.to_datetime_string(moments.from_timestamp(0)), "1970-01-01 00:00:00 UTC"),
        (moments.to_datetime_string(moments.from_timestamp(0), False), "1970-01-01 00:00:00"),
        (moments.human_friendly_diff(None), ""),
        (hashing.stable_hash("a", b"b"), "187ef4436122d1cc2f40dc2b92f0eba0"),
        (models.parse_obj_as(list[int], ["1"]), [1]),
        (models.parse_obj_as(int, "5", mode="json"), 5),
        (models.handle_secret_render(pydantic.SecretStr("x"), {}), "********"),
        (models.handle_secret_render(pydantic.SecretStr("x"), {"include_secrets": True}), "x"),
    ],
)  # fmt: skip
def test_values_of_prefect(found, expected):
    assert found == expected


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-3600, "1 hour before"), (3600, "1 hour after"), (3, "a few seconds after"),
        (-86400 * 40, "1 month before"), (-86400 * 10, "1 week before"), (-86400 * 400, "1 year before"),
    ],
)  # fmt: skip
def test_differences_for_people(seconds, said):
    start = moments.from_timestamp(10**9)
    assert moments.human_friendly_diff(moments.from_timestamp(10**9 + seconds), start) == said


def test_differences_from_now():
    now = moments.now("Europe/Berlin").timestamp()
    assert moments.human_friendly_diff(moments.from_timestamp(now - 7300)) == "2 hours ago"
    assert moments.human_friendly_diff(moments.from_timestamp(now + 7300)) == "in 2 hours"
