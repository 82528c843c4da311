"""The settings of a test session: `config.settings` in the environment `test`, on servers of the session's own."""

import os

from config.launch.testbed import Testbed

# Processes that run tests side by side share the cores, with all that they start: a pool of threads as large as the
# machine in each of them stands in the others' way, because threads of OpenMP wait for each other by turning round and
# round: on two busy cores the same work takes ten times as long. Read when torch is imported.
SIDE_BY_SIDE = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
if SIDE_BY_SIDE > 1:
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // SIDE_BY_SIDE)))

TESTBED = Testbed()
# Programs that tests start are configured like any other program: by the environment that Testbed has set.
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"

from config.settings import *  # noqa: E402, F403 the environment had to be set before
