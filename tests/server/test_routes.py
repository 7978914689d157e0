"""Every operation there is has its route, and the client can send every one."""

import re

import pytest
from runyard.operations import all_operations
from runyard.operations.wire import hints


@pytest.mark.parametrize("operation", all_operations(), ids=lambda operation: operation.name)
def test_an_operation_is_declared_so_that_it_can_travel(operation):
    code = operation.function.__code__
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    assert names[0] == "tx"
    assert tuple(names[1 : 1 + len(operation.placeholders)]) == operation.placeholders
    types = hints(operation)
    assert set(names[1:]) | {"return"} <= set(types)
    for name in operation.placeholders:
        assert types[name] is str
    assert operation.path.startswith("/")
    assert operation.function.__doc__


def test_no_two_operations_share_a_route_or_a_name():
    routes, names = set(), set()
    for operation in all_operations():
        route = (operation.method, re.sub(r"{\w+}", "{}", operation.path))
        assert route not in routes, route
        assert operation.name not in names, operation.name
        routes.add(route)
        names.add(operation.name)


def test_the_server_has_a_route_for_each(api_server):
    described = api_server.app.openapi()["paths"]
    for operation in all_operations():
        assert operation.method.lower() in described[f"/api{operation.path}"]


def test_health_is_open(api):
    import httpx

    answer = httpx.get(f"{api.url}/health", timeout=60)
    assert (answer.status_code, answer.json()) == (200, True)


def test_every_module_with_operations_is_listed():
    from importlib import import_module
    from pkgutil import iter_modules

    import runyard.operations as package
    from runyard.operations.operation import Operation

    for module in iter_modules(package.__path__):
        members = vars(import_module(f"runyard.operations.{module.name}")).values()
        if any(isinstance(m, Operation) and m.module.endswith(f".{module.name}") for m in members):
            assert module.name in package.MODULES


def test_every_plain_body_has_a_schema_for_the_server():
    from runyard.operations.plain_bodies import BODIES

    plain = {
        operation.name
        for operation in all_operations()
        if "body" in hints(operation) and not hasattr(hints(operation)["body"], "model_fields")
        and not str(hints(operation)["body"]).startswith("list")
    }  # fmt: skip
    assert plain == set(BODIES)
