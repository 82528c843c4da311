"""What each role may do in a workspace."""

from enum import StrEnum
from typing import TYPE_CHECKING

from django.core.exceptions import PermissionDenied

from apps.accounts import acting
from apps.workspaces.missing import NotFound
from apps.workspaces.models import Membership, Role, Workspace
from apps.workspaces.scope import current_workspace_id

if TYPE_CHECKING:
    from apps.accounts.models import User


class Verb(StrEnum):
    """One thing that needs a permission."""

    READ = "workspace.read"
    WRITE_PROJECT = "project.write"
    WRITE_GRAPH = "graph.write"
    SUBMIT_RUN = "run.submit"
    CONTROL_RUN = "run.control"
    WRITE_ARTIFACT = "artifact.write"
    SHARE = "link.share"
    MANAGE_WEBHOOKS = "webhook.manage"
    MAKE_KEY = "key.make"
    READ_AUDIT = "audit.read"
    MANAGE_WORKSPACE = "workspace.manage"
    SECURE_WORKSPACE = "workspace.secure"
    OWN_WORKSPACE = "workspace.own"


_READING = frozenset({Verb.READ})
_RUNNING = _READING | {Verb.WRITE_PROJECT, Verb.WRITE_GRAPH, Verb.SUBMIT_RUN, Verb.CONTROL_RUN, Verb.WRITE_ARTIFACT}
ALLOWED: dict[Role, frozenset[Verb]] = {
    Role.OWNER: frozenset(Verb),
    Role.ADMIN: frozenset(Verb) - {Verb.SECURE_WORKSPACE, Verb.OWN_WORKSPACE},
    Role.EDITOR: _RUNNING | {Verb.MAKE_KEY, Verb.SHARE},
    Role.API: _RUNNING,
    Role.VIEWER: _READING,
}
BY_KEY = _RUNNING | {Verb.MANAGE_WEBHOOKS, Verb.READ_AUDIT}
"""What a person's own role allows is done with an API key too, if it is among these."""
OUTLASTING = frozenset(
    {Verb.MAKE_KEY, Verb.SHARE, Verb.MANAGE_WEBHOOKS, Verb.MANAGE_WORKSPACE, Verb.SECURE_WORKSPACE, Verb.OWN_WORKSPACE}
)
"""What lets somebody in for longer, or ends something for good: no operator does it in another's name."""
RANK: dict[Role, int] = {Role.OWNER: 4, Role.ADMIN: 3, Role.EDITOR: 2, Role.API: 1, Role.VIEWER: 1}
"""Nobody gives or takes a role above the own one."""


class WorkspaceClosing(PermissionDenied):
    """The workspace is being deleted, and until then only read."""

    code = "workspace_closing"
    title = "The workspace is being deleted"


class WorkspaceSuspended(PermissionDenied):
    """The operators of the site have suspended the workspace; it is only read."""

    code = "workspace_suspended"
    title = "The workspace is suspended"


def may(role: str, verb: Verb) -> bool:
    """Whether a member with this role may do it."""
    return verb in ALLOWED[Role(role)]


def above(role: str, other: str) -> bool:
    """Whether the first role is above the other."""
    return RANK[Role(role)] > RANK[Role(other)]


def allowed_to(actor: "User", role: str) -> list[Verb]:
    """What the actor may do as a member with this role, by an API key what it allows of that."""
    return [verb for verb in Verb if may(role, verb) and _by_key(actor, verb)]


def require(actor: "User", verb: Verb, *, while_closing: bool = False) -> Membership:
    """The actor's membership in the workspace in force, with `workspace` loaded.

    Somebody who comes with an API key may what the own role, `BY_KEY` and the key allow, in the key's workspace only.

    Args:
        while_closing: also while the workspace is being deleted, because nothing is written, or it is taken back.

    Raises:
        NotFound: the actor does not belong to it, so for the actor it does not exist.
        PermissionDenied: the role does not allow it.
        WorkspaceClosing, WorkspaceSuspended, WhileImpersonating: which are ones of these.
    """
    found = Membership.objects.select_related("workspace").filter(user_id=actor.pk).first()
    if found is None or (actor.api_key is not None and actor.api_key.workspace_id != found.workspace_id):
        raise NotFound(f"workspace {current_workspace_id()}")
    if not _by_key(actor, verb):
        mend = "Do it on the site, signed in." if verb not in BY_KEY else "Make a key that allows it."
        raise PermissionDenied(f"This API key does not allow this ({verb}). {mend}")
    if not may(found.role, verb):
        raise PermissionDenied(
            f"The role {Role(found.role).label.lower()} does not allow this ({verb}). Ask an owner for another role."
        )
    if verb in OUTLASTING:
        acting.refuse()
    if verb is not Verb.READ and not while_closing:
        refuse_suspended(found.workspace)
    if found.workspace.delete_at is not None and verb is not Verb.READ and not while_closing:
        raise WorkspaceClosing(
            f"It can only be read until it is deleted on {found.workspace.delete_at:%d %B %Y}. An owner can restore it."
        )
    return found


def refuse_suspended(workspace: Workspace) -> None:
    """Raises `WorkspaceSuspended` if it is."""
    if workspace.suspended_at is not None:
        raise WorkspaceSuspended("The operators of this site have suspended it: it can only be read. Write to them.")


def _by_key(actor: "User", verb: Verb) -> bool:
    key = actor.api_key
    return key is None or (verb in BY_KEY and (verb is Verb.READ or key.verbs is None or verb in key.verbs))
