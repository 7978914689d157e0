"""How long whole processes take: the import, the commands, a script with one flow."""

from __future__ import annotations

from measure import Figure, Row, process_times
from products import Product

PYTHON = "`python -c pass`"

ONE_FLOW = """
from PRODUCT import flow, task

@task
def double(number):
    return 2 * number

@flow
def one():
    return double(21)

assert one() == 42
"""


def _repetitions(product: Product) -> int:
    return 15 if product.name == "runyard" else 3


def importing(product: Product) -> Figure:
    """`from runyard import flow, task`."""
    return process_times(
        product,
        product.python,
        "-c",
        f"from {product.name} import flow, task",
        repetitions=_repetitions(product),
    )


def helping(product: Product) -> Figure:
    """`runyard --help`."""
    return process_times(product, product.command, "--help", repetitions=_repetitions(product))


def group_helping(product: Product) -> Figure:
    """`runyard work-pool --help`."""
    return process_times(product, product.command, "work-pool", "--help", repetitions=_repetitions(product))


def completing(product: Product) -> Figure:
    """What bash is told at TAB after `runyard work-pool inspect l`: the name of the only pool."""
    product.fresh()
    product.run(product.command, "work-pool", "create", "listed", "--type", "process")
    line = {"COMP_WORDS": "runyard work-pool inspect l", "COMP_CWORD": "3"}
    before = product.environment
    product.environment = {**before, **line, "_RUNYARD_COMPLETE": "complete_bash"}
    try:
        if product.run(product.command) != "listed\n":
            raise RuntimeError("the name is not offered")
        return process_times(product, product.command, repetitions=_repetitions(product))
    finally:
        product.environment = before


def listing_pools(product: Product) -> Figure:
    """`runyard work-pool ls`."""
    product.fresh()
    product.run(product.command, "work-pool", "create", "listed", "--type", "process")
    return process_times(product, product.command, "work-pool", "ls", repetitions=_repetitions(product))


def one_flow(product: Product) -> Figure:
    """A script with one flow of one task, on an existing database."""
    product.fresh()
    script = product.script("one_flow.py", ONE_FLOW)
    figure = process_times(product, product.python, script, repetitions=_repetitions(product))
    count = product.call("POST", "/flow_runs/count", {})
    if count < _repetitions(product) + 1:
        raise RuntimeError(f"only {count} runs were recorded")
    return figure


ROWS = [
    Row("import", "`from runyard import flow, task`, whole process", "ms", importing, at_most=3, of=PYTHON),
    Row("help", "`runyard --help`", "ms", helping, at_most=8, of=PYTHON),
    Row(
        "group-help",
        "`runyard work-pool --help`",
        "ms",
        group_helping,
        at_most=14,
        of=PYTHON,
    ),
    Row(
        "complete",
        "a TAB that offers names",
        "ms",
        completing,
        at_most=8,
        of=PYTHON,
        prefect=False,
    ),
    Row("pool-ls", "`runyard work-pool ls`", "ms", listing_pools, at_most=12, of=PYTHON),
    Row(
        "one-flow",
        "a script with one flow of one task, whole process, recorded on disk",
        "ms",
        one_flow,
        at_most=15,
        of=PYTHON,
    ),
]
