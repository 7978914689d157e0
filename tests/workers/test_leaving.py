"""What the process of a run still does when its flow is over: it leaves nothing half written."""

from __future__ import annotations

import gzip

import pytest
from _pool_yards import YARDS
from _yard import Yard, a_yard

FLOWS = """
import atexit, gzip, threading, time
from runyard import flow

def later():
    time.sleep(0.3)
    open("thread", "w").write("it")

@flow(name="work")
def leaves():
    global text, binary, packed
    text, binary, packed = open("text", "w"), open("binary", "wb"), gzip.open("packed", "wt")
    text.write("it")
    binary.write(b"it")
    packed.write("it")
    atexit.register(lambda: open("exit", "w").write("it"))
    threading.Thread(target=later).start()
"""


@pytest.mark.parametrize("kind", [Yard, YARDS["detached"]])
def test_what_a_flow_leaves_open_is_written(home, tmp_path, kind):
    with a_yard(tmp_path, kind) as yard:
        (yard.folder / "leaves.py").write_text(FLOWS)
        run = yard.run(entrypoint="leaves.py:leaves")
        assert yard.worker(run_once=True).wait(120) == 0
        assert yard.state(run).type == "COMPLETED", yard.state(run)
        found = {name: (yard.folder / name).read_text() for name in ("text", "binary", "exit", "thread")}
        assert set(found.values()) == {"it"}, found
        assert gzip.decompress((yard.folder / "packed").read_bytes()) == b"it"
