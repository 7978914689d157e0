"""Models are built at their first use, also by several threads at once."""

from __future__ import annotations

import subprocess
import sys

_MANY_AT_ONCE = """
import sys, threading
from pydantic import ValidationError
from runyard.operations import all_operations
from runyard.operations.schemas import Input, Model, Query

all_operations()
models = [Input, Model, Query]
for model in models:
    models += model.__subclasses__()
together = threading.Barrier(8)
wrong = []

def use_all():
    together.wait()
    for model in models[3:]:
        try:
            model.model_validate({"no such field": 1}).model_dump_json()
        except ValidationError as error:
            if error.title != model.__name__:
                wrong.append(f"{model.__name__}: {error}")
        except BaseException as error:
            wrong.append(f"{model.__name__}: {error!r}")

sys.setswitchinterval(1e-6)
threads = [threading.Thread(target=use_all) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(models) > 100, wrong)
"""


def test_threads_that_use_a_model_first_at_the_same_time_all_get_it_right():
    done = subprocess.run([sys.executable, "-c", _MANY_AT_ONCE], capture_output=True, text=True, check=True)
    assert done.stdout == "True []\n"
