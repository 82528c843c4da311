"""The engine is first imported beside the server's start, while requests that need it may come already."""

import subprocess
import sys

import pytest

from config.layers import ROOT

SCRIPT = """
import sys, threading, time
import django
django.setup()
faults = []
def background():
    try:
        import attractor
    except BaseException as error:
        faults.append(error)
thread = threading.Thread(target=background)
thread.start()
while "torch" not in sys.modules:
    time.sleep(0.001)
assert thread.is_alive()
{request}
thread.join()
assert not faults, faults
"""


@pytest.mark.parametrize(
    "request_code",
    [
        "from apps.web.declarations import declarations; declarations({'nodes': [{'kind': 'osc.array'}]})",
        "import apps.projects.checking",
        "import apps.runs.control",
        "from apps.ops.problems import exception_handler; exception_handler(ValueError(), {})",
    ],
    ids=["page", "check", "control", "problem"],
)
def test_a_request_that_crosses_the_first_import_of_the_engine_is_served(request_code, testbed):
    script = SCRIPT.replace("{request}", request_code)
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
