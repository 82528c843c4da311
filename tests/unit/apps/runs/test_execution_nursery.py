"""Spare children: kept, used once, replaced, stopped; with small real processes."""

import sys
import textwrap
import threading
import time

import psutil
import pytest

from apps.runs.execution import nursery as nursery_module
from apps.runs.execution.nursery import Nursery

CHILD = """
import sys
sys.path.insert(0, {path!r})
from apps.runs.execution.mortality import die_with
from apps.runs.execution.pipe import Pipe
parent, read_fd, write_fd = map(int, sys.argv[1:4])
die_with(parent)
pipe = Pipe(read_fd, write_fd)
while (message := pipe.receive()) is not None:
    pipe.send({{"heard": message["op"]}})
    if message["op"] in ("run", "stop"):
        continue
    sys.exit(7)
"""


@pytest.fixture
def make(request):
    made = []

    def nursery(spares):
        code = textwrap.dedent(CHILD.format(path=str(request.config.rootpath)))
        made.append(Nursery(spares, (sys.executable, "-c", code)))
        return made[-1]

    yield nursery
    for one in made:
        one.close()


def until(condition, patience=30.0):
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)


def idle(nursery):
    return [child.process.pid for child in nursery._idle]


def test_a_spare_is_taken_used_and_replaced(make, monkeypatch):
    monkeypatch.setattr(nursery_module, "REPLACE_AFTER_SECONDS", 0.05)
    nursery = make(1)
    nursery.open()
    until(lambda: len(idle(nursery)) == 1)
    (first,) = idle(nursery)
    child = nursery.take()
    assert child.process.pid == first
    child.pipe.send({"op": "run"})
    assert child.pipe.receive(20.0) == {"heard": "run"}
    until(lambda: len(idle(nursery)) == 1)
    assert idle(nursery) != [first]
    assert nursery.bury(child, 10.0) == 0


def test_without_a_spare_a_fresh_child_is_started(make):
    nursery = make(0)
    one, other = nursery.take(), nursery.take()
    assert one.process.pid != other.process.pid
    assert idle(nursery) == []
    for child in (one, other):
        child.pipe.send({"op": "exit"})
        assert child.pipe.receive(20.0) == {"heard": "exit"}
        assert child.pipe.receive(20.0) is None
        assert nursery.bury(child, 10.0) == 7


def test_a_spare_that_died_is_not_handed_out(make):
    nursery = make(1)
    nursery.open()
    until(lambda: idle(nursery))
    (dead,) = idle(nursery)
    psutil.Process(dead).kill()
    until(lambda: not nursery._idle[0].alive)
    child = nursery.take()
    assert child.process.pid != dead
    child.pipe.send({"op": "run"})
    assert child.pipe.receive(20.0) == {"heard": "run"}
    nursery.bury(child)


def test_children_outlive_the_thread_that_took_them(make):
    """The parent-death signal follows the starting thread: it must not be one of a pool that comes and goes."""
    nursery = make(0)
    taken = []
    taker = threading.Thread(target=lambda: taken.append(nursery.take()))
    taker.start()
    taker.join()
    (child,) = taken
    child.pipe.send({"op": "run"})
    assert child.pipe.receive(20.0) == {"heard": "run"}
    time.sleep(0.3)
    assert child.alive
    nursery.bury(child)


def test_stopping_tells_running_children_once_and_ends_the_spares(make):
    nursery = make(1)
    nursery.open()
    running = nursery.take()
    until(lambda: idle(nursery) or nursery._replace_at is None)
    nursery.stop()
    assert nursery.stopping
    assert running.pipe.receive(20.0) == {"heard": "stop"}
    with pytest.raises(TimeoutError):
        running.pipe.receive(0.5)
    until(lambda: not idle(nursery))
    late = nursery.take()
    assert late.pipe.receive(20.0) == {"heard": "stop"}
    nursery.bury(running)
    nursery.bury(late)


def test_a_child_that_does_not_end_is_killed(make):
    nursery = make(0)
    child = nursery.take()
    child.pipe.send({"op": "run"})
    child.pipe.receive(20.0)
    psutil.Process(child.process.pid).suspend()
    assert nursery.bury(child, 0.1) == -9


def test_a_program_that_is_not_there_is_an_error_for_who_asked():
    nursery = Nursery(0, ("/no/such/program",))
    with pytest.raises(OSError, match="no/such/program"):
        nursery.take()
    nursery.close()
