"""The helpers of `prefect.utilities` and their neighbours do what scripts use them for."""

from __future__ import annotations

import asyncio
import dataclasses
import sys

import pydantic
import pytest
from runyard import flow, task
from runyard.base.errors import MissingExtra
from runyard.base.exceptions import (
    ParameterBindError,
    ReservedArgumentError,
    SignatureMismatchError,
)
from runyard.base.markers import NotSet, quote, unmapped
from runyard.engine.background.background_submit import BackgroundFuture
from runyard.prefect_names import clients, flow_names, testing_names, types
from runyard.prefect_names.utilities import (
    asyncutils,
    callables,
    collections,
    contexts,
    image_names,
    importtools,
    path_names,
    placeholder_names,
    process_names,
    timeout,
    urls,
)

ID = "7dc0ac5c-9a4b-4a2e-8e2e-2b2e3e0b6f2b"


def function(a, b: int = 2, *args, c, **kw):
    """Doc.

    Args:
        a: the first
    """
    return a, b, args, c, kw


@dataclasses.dataclass
class Data:
    x: int = 1


class Model(pydantic.BaseModel):
    x: int = 1


@pytest.mark.parametrize(
    ("value", "visited", "result"),
    [
        ([1, {"a": 2}], 5, [2, {"a": 3}]),
        ({1: 2}, 3, {2: 3}),
        ((1, 2), 3, (2, 3)),
        ({1, 5}, 3, {2, 6}),
        (Data(), 2, Data(2)),
        (Model(), 2, Model(x=2)),
        (quote(1), 2, quote(2)),
    ],
)
def test_a_collection_is_visited(value, visited, result):
    seen = []

    def add(item):
        seen.append(item)
        return item + 1 if isinstance(item, int) else item

    assert collections.visit_collection(value, add, return_data=True) == result
    assert len(seen) == visited
    assert collections.visit_collection(value, add) is None


def test_how_deep_a_collection_is_visited():
    def add(item):
        return item + 1 if isinstance(item, int) else item

    deep = [1, [2, [3]]]
    assert collections.visit_collection(deep, add, return_data=True, max_depth=1) == [2, [2, [3]]]
    assert deep == [1, [2, [3]]]
    own = [1]
    own.append(own)
    assert collections.visit_collection(own, add, return_data=True)[0] == 2
    bare = collections.visit_collection([unmapped(1)], add, return_data=True, remove_annotations=True)
    assert bare == [2]


def test_a_visit_is_stopped_below_a_value_and_knows_its_context():
    seen = []

    def stop(item):
        seen.append(item)
        if isinstance(item, list):
            raise collections.StopVisiting
        return item

    value = {"a": [1, [2]], "b": 3}
    assert collections.visit_collection(value, stop, return_data=True) == value
    assert seen == [value, "a", [1, [2]], "b", 3]

    def count(item, context):
        if isinstance(item, int):
            seen.append(context["depth"])
        context["depth"] += 1
        return item

    seen.clear()
    collections.visit_collection([1, [2]], count, context={"depth": 0}, return_data=True)
    assert seen == [1, 2]


def test_calls_that_do_not_fit_are_refused():
    with pytest.raises(ParameterBindError, match="missing a required argument: 'a'"):
        callables.get_call_parameters(function, (), {})
    with pytest.raises(SignatureMismatchError, match="no parameter 'q'"):
        callables.parameters_to_args_kwargs(function, {"q": 5})
    with pytest.raises(ReservedArgumentError, match="'a'"):
        callables.raise_for_reserved_arguments(function, ["a"])
    with pytest.raises(ValueError, match="'z'"):
        callables.collapse_variadic_parameters(lambda a: 1, {"z": 1})


def test_a_call_travels():
    import cloudpickle

    call = callables.cloudpickle_wrapped_call(function, 1, c=2)
    assert cloudpickle.loads(cloudpickle.loads(cloudpickle.dumps(call))()) == (1, 2, (), 2, {})


def test_templates_are_filled_as_in_prefect(monkeypatch):
    monkeypatch.delenv("HOME_X", raising=False)
    monkeypatch.setenv("HOME_Y", "here")
    template = {
        "a": "{{ x }}", "b": "pre {{ y }}", "c": "{{ none }}", "d": "{{ none }} z", "e": ["{{ none }}", 1],
        "f": "{{ $HOME_X }}", "g": "{{ prefect.variables.q }}", "h": "{{ $HOME_Y }}", "i": "v={{ n }}",
    }  # fmt: skip
    assert placeholder_names.apply_values(template, {"x": {"q": 1}, "y": [2], "n": None}) == {
        "a": {"q": 1}, "b": "pre [2]", "d": " z", "e": [1], "f": "", "g": "{{ prefect.variables.q }}",
        "h": "here", "i": "v=None",
    }  # fmt: skip
    assert placeholder_names.apply_values("{{ none }}", {}) is NotSet
    assert placeholder_names.apply_values({"c": "{{ n }}"}, {}, remove_notset=False) == {"c": "{{ n }}"}
    assert placeholder_names.apply_values("{{ a.b }}", {"a": {"b": 3}}) == 3
    kinds = placeholder_names.PlaceholderType
    assert {(each.name, each.type) for each in placeholder_names.find_placeholders(["{{ x }} {{ $E }}"])} == {
        ("x", kinds.STANDARD),
        ("$E", kinds.ENV_VAR),
    }
    assert placeholder_names.determine_placeholder_type("prefect.blocks.secret.s") is kinds.BLOCK_DOCUMENT


def test_templates_take_variables_and_blocks(recorded):
    from runyard.blocks.system import Secret
    from runyard.sdk.variables import Variable

    Variable.set("region", "north", _sync=True)
    Secret(value="hush").save("key", _sync=True)

    async def main():
        filled = await placeholder_names.resolve_variables(
            {"a": "{{ prefect.variables.region }}", "b": "{{ x }}"}
        )
        assert filled == {"a": "north", "b": "{{ x }}"}
        assert await placeholder_names.resolve_variables("{{ prefect.variables.nothing }}") is None
        template = ["{{ prefect.blocks.secret.key }}"]
        assert await placeholder_names.resolve_block_document_references(template) == ["hush"]
        changed = await placeholder_names.resolve_block_document_references(
            template, value_transformer=lambda name, value: f"{name}={value}"
        )
        assert changed == ["prefect.blocks.secret.key=hush"]

    asyncio.run(main())


def test_an_async_function_for_both_kinds_of_code():
    @asyncutils.sync_compatible
    async def double(x):
        return 2 * x

    async def main():
        return await double(4), asyncutils.sync(double.aio, 5), await asyncutils.create_task(double(6))

    assert double(3) == 6
    assert asyncio.run(main()) == (8, 10, 12)
    assert asyncio.run(double(3, _sync=False)) == 6


def test_an_async_function_in_flows_of_both_kinds(recorded):
    @asyncutils.sync_compatible
    async def double(x):
        return 2 * x

    @flow
    def plain():
        return double(3)

    @flow
    async def outer():
        return await double(4)

    assert (plain(), asyncio.run(outer())) == (6, 8)


def test_helpers_of_async_code():
    async def numbers():
        yield 1

    async def main():
        async with asyncutils.asyncnullcontext(5) as value:
            return value, await asyncutils.run_sync_in_worker_thread(asyncutils.in_async_worker_thread)

    assert asyncio.run(main()) == (5, True)
    assert asyncutils.is_async_gen_fn(numbers)
    assert not asyncutils.is_async_gen_fn(main)
    assert not asyncutils.in_async_worker_thread()


def test_a_coroutine_that_one_does_not_wait_for():
    import threading

    done = threading.Event()

    async def main():
        done.set()

    assert asyncutils.run_coro_as_sync(main(), wait_for_result=False) is None
    assert done.wait(60)


def test_blocks_that_take_too_long():
    import time

    with pytest.raises(TimeoutError), timeout.timeout(0.01):
        time.sleep(30)

    class Mine(TimeoutError):
        pass

    async def main(seconds):
        async with timeout.timeout_async(seconds, timeout_exc_type=Mine):
            await asyncio.sleep(30 if seconds else 0)

    with pytest.raises(Mine):
        asyncio.run(main(0.01))
    asyncio.run(main(None))
    with timeout.timeout():
        pass
    with pytest.raises(ValueError, match="not a TimeoutError"), timeout.timeout(1, KeyError):
        pass


def test_files_and_folders(tmp_path, monkeypatch):
    (tmp_path / "sub").mkdir()
    for name in ("a.py", "b.txt", "sub/c.py"):
        (tmp_path / name).write_text("x = 1\n", "utf-8")
    assert path_names.filter_files(str(tmp_path), ["*.txt"]) == {"a.py", "sub", "sub/c.py"}
    assert path_names.filter_files(str(tmp_path), ["sub/"], include_dirs=False) == {"a.py", "b.txt"}
    with path_names.tmpchdir(tmp_path / "a.py") as folder:
        assert folder == str(tmp_path)
        assert importtools.import_object("a.py:x") == 1
        assert path_names.to_display_path(tmp_path / "sub" / "c.py") == "sub/c.py"
    with pytest.raises(ValueError, match="invalid import path"):
        importtools.import_object("json")
    with pytest.raises(ImportError):
        importtools.import_object("no_such_module_of_any.x")


def test_modules_are_imported_late():
    assert importtools.lazy_import("json").dumps([1]) == "[1]"
    missing = importtools.lazy_import("no_such_module_of_any", help_message="install it")
    with pytest.raises(ModuleNotFoundError, match="install it"):
        missing.anything  # noqa: B018  # looked up to see it refused
    with pytest.raises(ModuleNotFoundError):
        importtools.lazy_import("no_such_module_of_any", error_on_import=True)


def test_commands(capfd):
    async def main():
        say = [sys.executable, "-c", "print('out'); raise SystemExit(3)"]
        quiet = await process_names.run_process(say)
        shown = await process_names.run_process(say, stream_output=True)
        with pytest.raises(TypeError, match="list"):
            async with process_names.open_process("ls"):
                pass
        return quiet.returncode, shown.returncode

    assert asyncio.run(main()) == (3, 3)
    assert capfd.readouterr().out == "out\n"


def test_where_things_are_found(home, monkeypatch):
    base = "http://h"
    assert urls.url_for("flow-run", ID) is None
    assert urls.url_for("flow-run", ID, default_base_url=base) == f"http://h/runs/flow-run/{ID}"
    assert urls.url_for("deployment", "x", default_base_url=base) == "http://h/deployments/deployment/x"
    assert urls.url_for("variable", "n", default_base_url=base) is None
    monkeypatch.setenv("RUNYARD_API_URL", "http://server:1/api")
    assert urls.url_for("flow_run", ID) == f"http://server:1/runs/flow-run/{ID}"
    assert urls.url_for("flow-run", ID, url_type="api") == f"http://server:1/api/flow_runs/{ID}"
    assert urls.url_for(BackgroundFuture(ID)) == f"http://server:1/runs/task-run/{ID}"
    with pytest.raises(ValueError, match="ui or api"):
        urls.url_for("flow-run", ID, url_type="x")


@pytest.mark.parametrize(
    "url", ["http://localhost", "http://10.0.0.1/x", "ftp://x", "https://[::1]/", "nothing"]
)
def test_urls_of_the_own_network_are_refused(url):
    with pytest.raises(ValueError, match=r"URL|leads to"):
        urls.validate_restricted_url(url)


def test_urls_of_the_world_are_taken():
    urls.validate_restricted_url("https://1.1.1.1/")


def test_the_runs_around_the_caller(recorded):
    @task
    def inner():
        return contexts.get_task_and_flow_run_ids()

    @flow
    def outer():
        return contexts.get_task_and_flow_run_ids(), inner()

    (none, of_flow), (of_task, same) = outer()
    assert none is None
    assert of_task is not None
    assert of_flow == same
    assert contexts.get_task_and_flow_run_ids() == (None, None)


def test_clients_are_given_to_functions(recorded, monkeypatch):
    @clients.inject_client
    async def first(name, client=None):
        return name, type(client).__name__

    @clients.client_injector
    async def second(client, name):
        return type(client).__name__, name

    assert asyncio.run(first("a")) == ("a", "RunyardClient")
    assert asyncio.run(second("a")) == ("RunyardClient", "a")
    assert clients.determine_server_type() == "EPHEMERAL"
    monkeypatch.setenv("RUNYARD_API_URL", "http://server:1/api")
    assert clients.determine_server_type() is clients.ServerType.SERVER


def test_what_tests_assert(recorded):
    import warnings

    from runyard.blocks.system import Secret

    @flow(name="latest")
    def latest():
        return 1

    latest()
    assert asyncio.run(testing_names.get_most_recent_flow_run(flow_name="latest")).state.type == "COMPLETED"
    assert testing_names.exceptions_equal(ValueError("a"), ValueError("a"))
    assert not testing_names.exceptions_equal(ValueError("a"), TypeError("a"))
    testing_names.assert_blocks_equal(Secret(value="x"), Secret(value="x"))
    with pytest.raises(AssertionError):
        testing_names.assert_blocks_equal(Secret(value="x"), Secret(value="y"))
    with pytest.raises(AssertionError, match="oh"), testing_names.assert_does_not_warn():
        warnings.warn("oh", stacklevel=1)
    with testing_names.assert_does_not_warn([UserWarning]):
        warnings.warn("oh", stacklevel=1)


@pytest.mark.parametrize(
    ("kind", "given", "kept"),
    [
        ("LogLevel", "debug", "DEBUG"),
        ("KeyValueLabels", None, {}),
        ("KeyValueLabels", {"a": 1, "b": True, "c": "x"}, {"a": 1, "b": True, "c": "x"}),
        ("TaskRetryDelaySeconds", "1, 2", [1.0, 2.0]),
        ("TaskRetryDelaySeconds", "", None),
        ("TimeZone", "Europe/Berlin", "Europe/Berlin"),
        ("Name", "a b", "a b"),
    ],
)
def test_types_take(kind, given, kept):
    assert pydantic.TypeAdapter(getattr(types, kind)).validate_python(given) == kept


@pytest.mark.parametrize(
    ("kind", "given"),
    [("Name", "a/b"), ("NonEmptyishName", "' '"), ("TimeZone", "Nowhere"), ("LogLevel", "LOUD")],
)
def test_types_refuse(kind, given):
    with pytest.raises(pydantic.ValidationError):
        pydantic.TypeAdapter(getattr(types, kind)).validate_python(given)


def test_functions_of_files_become_flows(tmp_path, home):
    path = tmp_path / "some.py"
    path.write_text("def plain():\n    return 1\n", "utf-8")
    made = flow_names.load_function_and_convert_to_flow(f"{path}:plain")
    assert (made.name, made.log_prints) == ("plain", True)
    assert flow_names.select_flow([made]) is made
    with pytest.raises(flow_names.MissingFlowError, match="'x' from here not found; valid are: plain"):
        flow_names.select_flow([made], "x", "from here")
    assert image_names.python_version_micro().startswith(image_names.python_version_minor())
    assert issubclass(MissingExtra, Exception)
