"""A first flow. Run it by hand with: python -m runyard flows/hello.py"""

from runyard import flow, get_run_logger, task


@task
def greet(name: str) -> str:
    """A task: a step of a flow, recorded with its states."""
    return f"Hello, {name}!"


@flow
def hello(name: str = "world") -> str:
    """Greet somebody."""
    greeting = greet(name)
    get_run_logger().info(greeting)
    return greeting


if __name__ == "__main__":
    hello()
