"""A write by session needs the token that only our own pages have. Who may what is in `test_permission_matrix`."""

from typing import Any

from addresses import fill
from django.test import Client


def test_a_write_needs_the_csrf_token(ann: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(ann.user)
    url = fill("api-projects", {"slug": ann.workspace.slug})
    refused = client.post(url, {"name": "x"}, content_type="application/json")
    assert refused.status_code == 403
    assert refused.headers["Content-Type"] == "application/problem+json"
    client.get("/accounts/logout/")  # any page with a form brings the cookie
    token = client.cookies["csrftoken"].value
    accepted = client.post(url, {"name": "x"}, content_type="application/json", headers={"X-CSRFToken": token})
    assert accepted.status_code == 201
