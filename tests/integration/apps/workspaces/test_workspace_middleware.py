"""Requests under a workspace's address, as WSGI and ASGI serve them."""

import asyncio
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.test import AsyncClient, Client, RequestFactory
from django.urls import resolve

from apps.projects.models import Project
from apps.workspaces.middleware import WorkspaceMiddleware
from apps.workspaces.scope import Unscoped

pytestmark = pytest.mark.django_db


def test_a_page_of_the_own_workspace_is_shown_and_others_do_not_exist(ann: Any, bob: Any) -> None:
    own = ann.client.get(f"/w/{ann.workspace.slug}/")
    assert own.status_code == 200
    assert ann.workspace.name in own.content.decode().replace("&#x27;", "'")
    for slug in (bob.workspace.slug, "no-such-workspace"):
        assert ann.client.get(f"/w/{slug}/").status_code == 404


def test_a_page_asks_strangers_to_log_in_whether_it_exists_or_not(ann: Any) -> None:
    for slug in (ann.workspace.slug, "no-such-workspace"):
        response = Client().get(f"/w/{slug}/")
        assert (response.status_code, response.url) == (302, f"/accounts/login/?next=/w/{slug}/")


def test_somebody_who_left_sees_the_workspace_no_more(ann: Any, bob: Any) -> None:
    from apps.workspaces.members import add_member
    from apps.workspaces.models import Membership, Role
    from apps.workspaces.scope import scope

    add_member(ann.user, ann.workspace, bob.user, Role.VIEWER)
    path = f"{ann.root}/projects/"
    assert bob.client.get(path).status_code == 200
    with scope(ann.workspace.id):
        Membership.objects.filter(user=bob.user).delete()
    assert bob.client.get(path).status_code == 404


def test_other_addresses_have_no_scope(ann: Any) -> None:
    request = RequestFactory().get("/presets/")
    request.user = ann.user
    middleware = WorkspaceMiddleware(lambda _: pytest.fail("called"))
    match = resolve("/presets/")
    assert middleware.process_view(request, match.func, [], match.kwargs) is None
    with pytest.raises(Unscoped):
        Project.objects.count()


@pytest.mark.django_db(transaction=True)
def test_requests_of_two_workspaces_served_side_by_side_stay_apart(ann: Any, bob: Any) -> None:
    """The whole middleware chain on one event loop, as the ASGI server runs it."""

    async def ask(tenant: Any) -> set[str]:
        client = AsyncClient()
        await client.aforce_login(tenant.user)
        seen = set()
        for _ in range(5):
            response = await client.get(f"{tenant.root}/projects/")
            assert response.status_code == 200
            seen |= {project["id"] for project in response.json()["results"]}
            await asyncio.sleep(0)
        return seen

    async def both() -> list[set[str]]:
        try:
            return await asyncio.gather(ask(ann), ask(bob), ask(ann), ask(bob))
        finally:
            # The loop's thread keeps a connection, which the server of a site keeps for good.
            await sync_to_async(connections.close_all)()

    own = {str(ann.project.pk)}, {str(bob.project.pk)}
    assert asyncio.run(both()) == [own[0], own[1], own[0], own[1]]
