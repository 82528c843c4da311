"""The client is what the API's schema says now."""

import os
import subprocess
import sys
from typing import Any

import pytest

from attractor.client import AsyncClient, AsyncRun, Client, Run
from config.layers import ROOT


def test_the_generated_parts_are_up_to_date(testbed: Any) -> None:
    command = [sys.executable, "manage.py", "generate_client", "--check"]
    done = subprocess.run(command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("there", "here"), [(AsyncClient, Client), (AsyncRun, Run)])
def test_both_clients_have_the_same_methods(there: type, here: type) -> None:
    names = {name for name in vars(there) if not name.startswith("_")} - {"aclose"} | ({"close"} & set(vars(here)))
    assert names == {name for name in vars(here) if not name.startswith("_")}
