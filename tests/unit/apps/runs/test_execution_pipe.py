"""Messages between a worker and its child."""

import os
import subprocess
import sys
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.runs.execution.pipe import Pipe

values = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.floats(allow_nan=False)


@pytest.fixture
def ends():
    down_read, down_write = os.pipe()
    up_read, up_write = os.pipe()
    parent, child = Pipe(up_read, down_write), Pipe(down_read, up_write)
    yield parent, child
    parent.close()
    child.close()


@settings(max_examples=50)
@given(st.lists(st.dictionaries(st.text(), values, max_size=5), max_size=5))
def test_messages_arrive_whole_and_in_order(messages):
    read, write = os.pipe()
    other_read, other_write = os.pipe()
    sender, receiver = Pipe(other_read, write), Pipe(read, other_write)
    for message in messages:
        assert sender.send(message)
    assert [receiver.receive(1.0) for _ in messages] == messages
    sender.close()
    assert receiver.receive(1.0) is None
    receiver.close()


def test_a_message_larger_than_the_pipe_is_put_together(ends):
    parent, child = ends
    large = {"op": "run", "text": "x" * 1_000_000}
    sender = threading.Thread(target=parent.send, args=(large,))
    sender.start()
    assert child.receive(20.0) == large
    sender.join()


def test_nothing_within_the_time_is_an_error_and_loses_nothing(ends):
    parent, child = ends
    with pytest.raises(TimeoutError):
        child.receive(0.01)
    parent.send({"op": "run"})
    assert child.receive(1.0) == {"op": "run"}


def test_sending_to_somebody_gone_is_false_not_an_exception(ends):
    parent, child = ends
    child.close()
    assert parent.send({"op": "stop"}) is False
    parent.close()
    assert parent.send({"op": "stop"}) is False
    parent.close()


def test_threads_may_send_at_the_same_time(ends):
    parent, child = ends
    threads = [
        threading.Thread(target=lambda n=n: [parent.send({"n": n, "i": i, "pad": "p" * 900}) for i in range(50)])
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    heard = [child.receive(5.0) for _ in range(200)]
    for thread in threads:
        thread.join()
    for n in range(4):
        assert [message["i"] for message in heard if message["n"] == n] == list(range(50))


def test_the_death_of_a_process_is_the_end_of_its_pipe():
    up_read, up_write = os.pipe()
    down_read, down_write = os.pipe()
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], pass_fds=(up_write, down_read))
    os.close(up_write)
    os.close(down_read)
    pipe = Pipe(up_read, down_write)
    with pytest.raises(TimeoutError):
        pipe.receive(0.1)
    process.kill()
    assert pipe.receive(10.0) is None
    process.wait()
    pipe.close()
