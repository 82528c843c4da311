"""The engine is first imported beside the server's start, while requests that need it may come already."""

import subprocess
import sys

import pytest

from config.layers import ROOT

SITES = {
    "page": "from apps.web.declarations import declarations; declarations({'nodes': [{'kind': 'osc.array'}]})",
    "check": "import apps.projects.checking",
    "control": "import apps.runs.control",
    "problem": "from apps.ops.problems import exception_handler; exception_handler(ValueError(), {})",
}

# Two threads that both begin with one of the package's modules would each hold a lock that the other needs; Python
# then hands out half a module. The second begins while the first is importing torch.
SCRIPT = """
import sys, threading, time
import django
django.setup()
faults = []
def background():
    try:
        {first}
    except BaseException as error:
        faults.append(error)
thread = threading.Thread(target=background)
thread.start()
while "torch" not in sys.modules and thread.is_alive():
    time.sleep(0)
{second}
thread.join()
assert not faults, faults
"""


@pytest.mark.parametrize(("first", "second"), [("check", second) for second in ("page", "control", "problem")])
def test_requests_that_cross_the_first_import_of_the_engine_are_served(first, second, testbed):
    script = SCRIPT.replace("{first}", SITES[first]).replace("{second}", SITES[second])
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
