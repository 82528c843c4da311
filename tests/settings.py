"""The settings of a test session: `config.settings` in the environment `test`, on servers of the session's own."""

import os

from config.launch.testbed import Testbed

TESTBED = Testbed()
# Programs that tests start are configured like any other program: by the environment that Testbed has set.
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"

from config.settings import *  # noqa: E402, F403 the environment had to be set before
