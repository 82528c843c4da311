"""What benchmarks share."""

from collections.abc import Iterator

import pytest

from config.layers import ROOT
from tests.benchmarks.report import Report


@pytest.fixture(scope="module")
def report(request: pytest.FixtureRequest) -> Iterator[Report]:
    """The report of a benchmark module; printed and written to .attractor/benchmarks/<name>.json when it is through."""
    one = Report(request.module.__name__.removeprefix("test_"))
    yield one
    path = one.write(ROOT / ".attractor" / "benchmarks")
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\n\n{one.table()}\n→ {path.relative_to(ROOT)}")
