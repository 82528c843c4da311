"""Everybody who may come to an address: each role by its session and by keys of every kind, and all who do not belong.

An actor's client sends the same cookies every time, whatever the answer before has set.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

from addresses import PAGES, Place, Row, send
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from tenants import PASSWORD, Tenant, logged_in
from truth import HAS, KEY, PERSON, Truth

from apps.accounts.models import Session, User
from apps.accounts.services import register
from apps.sharing.services import share
from apps.workspaces.keys import create_key, revoke_key
from apps.workspaces.members import remove_member
from apps.workspaces.models import ApiKey, Membership, Role
from apps.workspaces.scope import scope

ALL_VERBS = frozenset(HAS[KEY])
LOGIN = "/accounts/login/?next="


@dataclass
class Actor:
    """One who comes.

    Attributes:
        role: in the workspace of `at`, as the documentation names it; empty: nobody's request.
        verbs: what the key allows besides the role; None without a key.
        pages: whether it asks for pages.
    """

    name: str
    client: Client
    role: str = ""
    verbs: frozenset[str] | None = None
    secret: str | None = None
    pages: bool = True
    _cookies: Any = field(init=False)

    def __post_init__(self) -> None:
        self._cookies = copy.deepcopy(self.client.cookies)
        if self.secret is not None:
            self.client.defaults["HTTP_AUTHORIZATION"] = f"Bearer {self.secret}"

    @property
    def by_key(self) -> bool:
        return self.secret is not None

    def comes(self) -> Client:
        """The client as if it had asked nothing yet."""
        self.client.cookies = copy.deepcopy(self._cookies)
        return self.client

    def ask(self, place: Place, name: str, method: str, row: Row, ids: Mapping[str, Any] | None = None) -> Any:
        return send(self.comes(), place, name, method, row, ids)

    def answer(self, truth: Truth, row: Row, page: bool) -> tuple[int, bool]:
        """The status that this one gets in the own workspace, and whether anything is written."""
        if not self.role or (page and self.by_key):
            # Keys are the API's: for a page who comes with one is nobody.
            return (302 if page else 401), False
        if self.verbs is not None and not (truth.needs in HAS[KEY] and truth.needs in self.verbs):
            return 403, False
        if truth.needs != PERSON and truth.needs not in HAS[self.role]:
            return 403, False
        if self.role in truth.others:
            return truth.others[self.role]
        return row.owner, row.writes and row.owner < 400


def members(tenant: Tenant, prefix: str = "") -> list[Actor]:
    """An owner, an administrator, an editor and a viewer of the workspace, each in a browser."""
    found = [Actor(f"{prefix}owner", _alike(tenant.client), "owner")]
    for role, name in ((Role.ADMIN, "administrator"), (Role.EDITOR, "editor"), (Role.VIEWER, "viewer")):
        found.append(Actor(f"{prefix}{name}", logged_in(_joined(tenant, role)), name))
    return found


def keys(tenant: Tenant, prefix: str = "") -> list[Actor]:
    """Keys of the owner's with every permission, with none, with each alone and with all but each, of every other role,
    and the workspace's own."""
    owner = tenant.user
    found = [
        _key(tenant, owner, f"{prefix}owner's key", "owner"),
        _key(tenant, owner, f"{prefix}owner's key to look", "owner", []),
        _key(tenant, owner, f"{prefix}machine's key", "machine", of_workspace=True),
        _key(tenant, owner, f"{prefix}machine's key to look", "machine", [], of_workspace=True),
    ]
    for verb in sorted(ALL_VERBS - {"workspace.read"}):
        # The one is enough where it is needed, and all others are not.
        found.append(_key(tenant, owner, f"{prefix}owner's key for {verb}", "owner", [verb]))
        others = sorted(ALL_VERBS - {verb})
        found.append(_key(tenant, owner, f"{prefix}owner's key for all but {verb}", "owner", others))
    for role, name in ((Role.ADMIN, "administrator"), (Role.EDITOR, "editor"), (Role.VIEWER, "viewer")):
        # A viewer makes no keys, but may have one from better times.
        person = _joined(tenant, Role.EDITOR if role is Role.VIEWER else role)
        found.append(_key(tenant, person, f"{prefix}{name}'s key", name))
        with scope(tenant.workspace.pk):
            Membership.objects.filter(user=person).update(role=role)
    return found


def nobodies(tenant: Tenant, place: Place) -> list[Actor]:
    """Whose request is nobody's, although most of them have something that opens the workspace, or once did."""
    with_factor = _joined(tenant, Role.ADMIN)
    half = logged_in(with_factor)
    User.objects.filter(pk=with_factor.pk).update(mfa_since=timezone.now())
    ended = logged_in(_joined(tenant, Role.ADMIN))
    Session.objects.filter(session_key=ended.session.session_key).delete()
    gone = _joined(tenant, Role.ADMIN)
    inactive = logged_in(gone)
    link = Client()
    answer = link.get(reverse("web:shared", kwargs={"token": share(tenant.user, place.over, visibility="anyone")[1]}))
    assert answer.status_code == 200
    found = [
        Actor("nobody", Client()),
        Actor("session without the second factor", half),
        Actor("session that was ended", ended),
        Actor("session of an account that is closed", inactive),
        Actor("holder of a shared link", link),
        _void(_key(tenant, tenant.user, "key that has expired", "", expires_in_days=1)),
        _void(_key(tenant, tenant.user, "key that was revoked", "")),
        _void(_key(tenant, tenant.user, "key of another network", "", networks=["203.0.113.0/24"])),
        _void(_key(tenant, gone, "key of an account that is closed", "")),
        Actor("key that is none", Client(), secret="atk_" + "x" * 43),
        # The login that comes with it counts for nothing; pages do not look at keys.
        Actor("key that is none, in the owner's browser", _alike(tenant.client), secret="atk_" + "x" * 43, pages=False),
    ]
    User.objects.filter(pk=gone.pk).update(is_active=False)
    left = _joined(tenant, Role.EDITOR)
    found.append(_void(_key(tenant, left, "key of somebody who was removed", "")))
    with scope(tenant.workspace.pk):
        ApiKey.objects.filter(name="key that has expired").update(expires_at=timezone.now() - timedelta(seconds=1))
        revoked = ApiKey.objects.get(name="key that was revoked")
        member = Membership.objects.get(user=left)
    revoke_key(tenant.user, tenant.workspace, revoked.pk)
    remove_member(tenant.user, tenant.workspace, member.pk)
    return found


def of_use(actors: Sequence[Actor], needs: str) -> list[Actor]:
    """Without the keys for another permission than the one that is needed, and for all but another."""
    return [actor for actor in actors if " key for " not in actor.name or actor.name.endswith(f" {needs}")]


def _alike(client: Client) -> Client:
    again = Client()
    again.cookies = copy.deepcopy(client.cookies)
    return again


def _joined(tenant: Tenant, role: Role) -> User:
    """Somebody new with the role."""
    user = register(f"{uuid4().hex}@example.org", PASSWORD)
    with scope(tenant.workspace.pk):
        Membership.objects.create(workspace=tenant.workspace, user=user, role=role)
    return user


def _key(
    tenant: Tenant, user: User, name: str, role: str, verbs: Sequence[str] | None = None, **more: Any
) -> Actor:  # fmt: skip
    _, secret = create_key(user, tenant.workspace, name, verbs=verbs, **more)
    allowed = ALL_VERBS if verbs is None else frozenset({*verbs, "workspace.read"})
    return Actor(name, Client(), role, allowed, secret)


def _void(actor: Actor) -> Actor:
    actor.role, actor.verbs = "", None
    return actor


# --- What they ask for ------------------------------------------------------------------------------------------------


def invented(place: Place, workspace: Any = None) -> Place:
    """A place of which nothing exists, or only the workspace."""
    new: dict[Any, UUID] = defaultdict(uuid4)
    tenant = place.tenant
    ids = {key: new[value] if isinstance(value, UUID) else value for key, value in place.ids.items()}
    things = [SimpleNamespace(pk=new[one.pk]) for one in (tenant.project, tenant.graph, place.over, place.running)]
    return _named(place, ids, workspace or SimpleNamespace(slug="no-such-workspace", name="None"), *things)


def reached(place: Place, workspace: Any) -> Place:
    """The things of the place, asked for in another workspace."""
    tenant = place.tenant
    return _named(place, place.ids, workspace, tenant.project, tenant.graph, place.over, place.running)


def _named(place: Place, ids: Mapping[str, Any], workspace: Any, *things: Any) -> Place:
    project, graph, over, running = things
    tenant = SimpleNamespace(workspace=workspace, project=project, graph=graph)
    return replace(place, tenant=tenant, over=over, running=running, ids={**ids, "slug": workspace.slug})


def words(*places: Place) -> dict[str, str]:
    """What names a thing of a place, and a word for it that is the same for all places; the longest first, because one
    slug may begin another."""
    found = {}
    for place in places:
        found |= {str(place.over.pk): "<over>", str(place.running.pk): "<running>"}
        found |= {
            str(value): f"<{key}>" for key, value in place.ids.items() if isinstance(value, UUID) or key == "slug"
        }
    return {text: found[text] for text in sorted(found, key=len, reverse=True)}


def is_page(name: str, method: str) -> bool:
    return (name, method) in PAGES
