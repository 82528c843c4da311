"""When a worker that hears nothing may be ended, and when not."""

import threading
import time

from apps.runs.execution.canary import LOST_IN_A_ROW, PATIENCE, Canary

EVERY = 0.01


class Worker:
    def __init__(self, *, idle=True, broker=True, consumes=True):
        self.idle, self.broker, self.consumes = idle, broker, consumes
        self.sent = 0
        self.ended = threading.Event()
        self.canary = Canary(EVERY, lambda: self.idle, self.send, self.ended.set)

    def send(self):
        if self.broker:
            self.sent += 1
            if self.consumes:
                self.canary.heard()
        return self.broker

    def lives_for(self, intervals):
        self.canary.start()
        ended = self.ended.wait(intervals * EVERY)
        self.canary.close()
        self.canary.join(20)
        return not ended


LONG = 40 * PATIENCE * LOST_IN_A_ROW


def test_a_worker_that_consumes_lives():
    worker = Worker()
    assert worker.lives_for(LONG)
    assert worker.sent > LOST_IN_A_ROW


def test_one_that_consumes_nothing_is_ended_after_more_than_one_lost_message():
    worker = Worker(consumes=False)
    worker.canary.start()
    assert worker.ended.wait(60)
    assert worker.sent == LOST_IN_A_ROW


def test_a_single_lost_message_is_forgiven():
    worker = Worker(consumes=False)
    worker.canary.start()
    deadline = time.monotonic() + 60
    while worker.sent < 2:
        assert time.monotonic() < deadline
        worker.consumes = worker.sent >= 1  # only the first one is lost
        time.sleep(EVERY / 10)
    assert not worker.ended.wait(LONG * EVERY)
    worker.canary.close()


def test_without_a_broker_silence_is_not_its_fault():
    assert Worker(broker=False, consumes=False).lives_for(LONG)


def test_a_busy_worker_is_left_alone():
    worker = Worker(idle=False, consumes=False)
    assert worker.lives_for(LONG)
    assert worker.sent == 0
