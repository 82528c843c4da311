"""Who may watch a run, and that whoever may not any more is shown out. The promise is 5 s; the times are printed."""

import time
from datetime import timedelta

import msgpack
import pytest
from django.utils import timezone
from run_processes import free_port, make_tenant, started_server
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from apps.accounts.models import Session as LoginSession
from apps.accounts.models import User
from apps.workspaces.keys import create_key, revoke_key
from apps.workspaces.members import add_member
from apps.workspaces.models import ApiKey, Membership, Role, Workspace
from apps.workspaces.scope import scope

GONE, CHANGED = 4404, 4409


def watch(server, run, cookie="", key=None):
    socket = server.connect(f"/ws/v1/runs/{run.pk}/", cookie, key=key)
    assert socket.hear()["run"]["id"] == str(run.pk)
    return socket


class Guests:
    """Members of a workspace who watch one of its runs."""

    def __init__(self, tenant, server):
        self.tenant, self.server = tenant, server
        self.run = tenant.submit(ticks=10)
        self.people = {}

    def come(self, name, role=Role.EDITOR):
        guest = self.people[name] = make_tenant(name)
        add_member(self.tenant.user, self.tenant.workspace, guest.user, role)
        return guest

    def by_login(self, name, role=Role.EDITOR):
        return watch(self.server, self.run, self.come(name, role).cookie())

    def by_key(self, name):
        key, secret = create_key(self.come(name).user, self.tenant.workspace, name)
        return key, watch(self.server, self.run, key=secret)

    def user(self, name):
        return User.objects.get(pk=self.people[name].user.pk)


def test_whoever_may_not_watch_any_more_is_shown_out(tenant, server):
    guests = Guests(tenant, server)
    stays = guests.by_login("stays"), guests.by_key("stays-too")[1]
    removed, demoted, inactive, renamed = (guests.by_login(n) for n in ("removed", "demoted", "inactive", "renamed"))
    logged_out = guests.by_login("out")
    key_to_revoke, revoked = guests.by_key("revoked")
    key_to_end, expired = guests.by_key("expired")
    _, keyless_member = guests.by_key("keyless")

    began = time.monotonic()
    with scope(tenant.workspace.id, tenant.user.pk):
        Membership.objects.filter(user=guests.user("removed")).delete()
        Membership.objects.filter(user=guests.user("keyless")).delete()
        Membership.objects.filter(user=guests.user("demoted")).update(role=Role.VIEWER)
        ApiKey.objects.filter(pk=key_to_end.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    revoke_key(tenant.user, tenant.workspace, key_to_revoke.pk)
    User.objects.filter(pk=guests.user("inactive").pk).update(is_active=False)
    changed = guests.user("renamed")
    changed.set_password("another long enough secret")
    changed.save()
    LoginSession.objects.filter(user=guests.user("out")).delete()

    leaving = {
        "removed": removed, "inactive": inactive, "password changed": renamed, "logged out": logged_out,
        "key revoked": revoked, "key expired": expired, "removed, with a key": keyless_member,
    }  # fmt: skip
    for why, socket in leaving.items():
        assert socket.close_code(20.0) == GONE, why
        print(f"{why}: closed after {time.monotonic() - began:.1f} s at most")
    assert demoted.close_code(20.0) == CHANGED

    again = watch(server, guests.run, guests.people["demoted"].cookie())  # who may still read comes back
    for socket in (*stays, again):
        socket.say(op="heartbeat", id="still there")
        assert socket.hear_until(lambda m: m["kind"] == "heartbeat" and m.get("id"))["id"] == "still there"


def test_a_workspace_of_another_address_shows_out_who_came_by_the_former_one(tenant, server):
    run, workspace = tenant.submit(ticks=10), tenant.workspace
    stays = watch(server, run, tenant.cookie())
    leaves = server.connect(f"/ws/v1/workspaces/{workspace.slug}/runs/{run.pk}/", tenant.cookie())
    assert leaves.hear()["run"]["id"] == str(run.pk)
    with scope(workspace.id):
        Workspace.objects.filter(pk=workspace.pk).update(name="Another name", slug=f"{workspace.slug}-moved")
    assert leaves.close_code(20.0) == GONE
    stays.say(op="heartbeat", id="still there")
    assert stays.hear_until(lambda m: m["kind"] == "heartbeat" and m.get("id"))["id"] == "still there"


@pytest.mark.slow
def test_a_guest_who_does_not_read_is_told_nothing_more(tenant, server, shared_worker, eventually):
    """The close has to wait for the client; what is computed meanwhile is not sent any more."""
    guests = Guests(tenant, server)
    run = guests.run = tenant.submit(graph=tenant.graph_of(N=4096))
    eventually(lambda: tenant.look(run).tick > 0, "the run to progress", 400)
    stuck = guests.by_login("stuck")
    stuck.say(op="subscribe", id=1, node="osc", port="state", rate=60)
    stuck.hear_until(lambda m: m["kind"] == "frame", 60)
    time.sleep(3)  # all buffers are full
    with scope(tenant.workspace.id, tenant.user.pk):
        Membership.objects.filter(user=guests.user("stuck")).delete()
    time.sleep(5)
    ended_at = tenant.look(run).tick
    assert stuck.close_code(30.0) == GONE
    assert max(m["tick"] for m in stuck.seen if m["kind"] == "frame") < ended_at
    tenant.command(run, "cancel")


def test_the_short_address_shows_runs_of_own_workspaces_only(tenant, server):
    """A person's address of any run, a key's of its workspace's runs."""
    viewer = make_tenant("val")
    add_member(tenant.user, tenant.workspace, viewer.user, Role.VIEWER)
    here, home = tenant.submit(ticks=10), viewer.submit(ticks=10)
    for run in (here, home):
        watch(server, run, viewer.cookie())
    _, secret = create_key(viewer.user, viewer.workspace, "of home")
    watch(server, home, key=secret)
    refused = [(here, "", secret), (home, tenant.cookie(), None), (home, "", None), (home, "", "atk_nonsense")]
    for run, cookie, key in refused:
        with pytest.raises(InvalidStatus) as refusal:
            server.connect(f"/ws/v1/runs/{run.pk}/", cookie, key=key)
        assert refusal.value.response.status_code == 404


def test_a_key_over_a_plain_wire_opens_nothing(tenant, tmp_path):
    """A real server behind what it takes for a proxy, and a real client, whose bytes are not encrypted."""
    run, (_, secret) = tenant.submit(ticks=10), create_key(tenant.user, tenant.workspace, "k")
    env = {"ATTRACTOR__WEB__HTTPS": "true", "ATTRACTOR__WEB__BEHIND_PROXY": "true"}
    with started_server(tmp_path / "web", free_port(), **env) as web:
        url = f"ws://127.0.0.1:{web.port}/ws/v1/runs/{run.pk}/"
        mine = {"Authorization": f"Bearer {secret}"}
        for said in ({}, {"X-Forwarded-Proto": "http"}):
            with pytest.raises(InvalidStatus) as refusal:
                connect(url, additional_headers=mine | said, open_timeout=60)
            assert refusal.value.response.status_code == 403
            assert b"revoke it" in refusal.value.response.body
        with connect(url, additional_headers=mine | {"X-Forwarded-Proto": "https"}, open_timeout=60) as opened:
            assert msgpack.unpackb(opened.recv(timeout=20))["run"]["id"] == str(run.pk)
