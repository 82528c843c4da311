"""The cache counts logins and mails, and there is one cache for all tests."""

import pytest
from django.core.cache import cache


@pytest.fixture(autouse=True)
def _nothing_was_tried_yet() -> None:
    cache.clear()
