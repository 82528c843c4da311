"""What each role may do in a workspace."""

from enum import StrEnum
from typing import TYPE_CHECKING

from django.core.exceptions import PermissionDenied

from apps.workspaces.missing import NotFound
from apps.workspaces.models import Membership, Role
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
    MANAGE_WEBHOOKS = "webhook.manage"
    MAKE_KEY = "key.make"
    MANAGE_WORKSPACE = "workspace.manage"
    SECURE_WORKSPACE = "workspace.secure"


_READING = frozenset({Verb.READ})
_RUNNING = _READING | {Verb.WRITE_PROJECT, Verb.WRITE_GRAPH, Verb.SUBMIT_RUN, Verb.CONTROL_RUN, Verb.WRITE_ARTIFACT}
ALLOWED: dict[Role, frozenset[Verb]] = {
    Role.OWNER: frozenset(Verb),
    Role.ADMIN: frozenset(Verb) - {Verb.SECURE_WORKSPACE},
    Role.EDITOR: _RUNNING | {Verb.MAKE_KEY},
    Role.API: _RUNNING,
    Role.VIEWER: _READING,
}
BY_KEY = _RUNNING | {Verb.MANAGE_WEBHOOKS}
"""What a person's own role allows is done with an API key too, if it is among these."""


def may(role: str, verb: Verb) -> bool:
    """Whether a member with this role may do it."""
    return verb in ALLOWED[Role(role)]


def require(actor: "User", verb: Verb) -> Membership:
    """The actor's membership in the workspace in force.

    Somebody who comes with an API key may what both the own role and `BY_KEY` allow, in the key's workspace only.

    Raises:
        NotFound: the actor does not belong to it, so for the actor it does not exist.
        PermissionDenied: the role does not allow it.
    """
    found = Membership.objects.filter(user_id=actor.pk).first()
    if found is None or (actor.api_key is not None and actor.api_key.workspace_id != found.workspace_id):
        raise NotFound(f"workspace {current_workspace_id()}")
    if actor.api_key is not None and verb not in BY_KEY:
        raise PermissionDenied(f"An API key does not allow this ({verb}). Do it on the site, signed in.")
    if not may(found.role, verb):
        raise PermissionDenied(
            f"The role {Role(found.role).label.lower()} does not allow this ({verb}). Ask an owner for another role."
        )
    return found
