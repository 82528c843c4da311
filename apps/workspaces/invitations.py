"""Invitations: who is offered to belong to a workspace.

An invitation is bound to one e-mail address and is sent there; its token (`inv_` and 256 random bits) is in that
message and nowhere else, so whoever brings it reads the mail of that address. It is accepted once, by somebody who is
signed in and has confirmed the address. What it offers is never above what the inviter is when it is accepted: an
inviter who was demoted or has left has nothing to offer any more.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from allauth.account.models import EmailAddress
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from apps.ops.refusal import Fault, Invalid
from apps.workspaces import invitation_mails, mail
from apps.workspaces.digests import digest_of, digests_of, naming
from apps.workspaces.domains import admits
from apps.workspaces.members import PEOPLE, refuse_above
from apps.workspaces.missing import NotFound
from apps.workspaces.models import Invitation, Membership, Role, Workspace
from apps.workspaces.permissions import Verb, above, may, require
from apps.workspaces.refusals import InvitationVoid
from apps.workspaces.scope import scope
from apps.workspaces.services import audit, locked_workspace, refuse_key

if TYPE_CHECKING:
    from apps.accounts.models import User

PREFIX: Final = "inv_"
MAX_TOKEN: Final = 200
OPEN_AT_MOST: Final = 200
"""Open invitations of one workspace: each has sent a message to somebody who did not ask for it."""
OPENED: Final = "invitation_opened"
"""In the session of who opened an invitation signed out: which it was, for which address, and when."""
Link = Callable[[str], str]
"""The address, on this site, of the invitation with a token."""


def invitations() -> QuerySet[Invitation]:
    """Those of the workspace in force that are not accepted, newest first."""
    rows = Invitation.objects.filter(accepted_at=None, revoked_at=None)
    return rows.select_related("invited_by").order_by("-created_at", "-id")


def invitation(invitation_id: UUID | str) -> Invitation:
    """One of the workspace in force. Raises NotFound."""
    found = Invitation.objects.select_related("invited_by").filter(pk=invitation_id).first()
    if found is None:
        raise NotFound(f"invitation {invitation_id}")
    return found


def invite(actor: User, workspace: Workspace, email: str, role: str, link: Link) -> Invitation:
    """Offer somebody a role, by a message that is sent when the transaction is committed.

    Args:
        link: makes the address that the message names.

    Raises:
        Invalid: the address is a member's, is invited already or has a domain that is not allowed; people do not have
            the role; there are too many; or too many were mailed (`invitation_mails`).
        PermissionDenied: the actor does not manage the workspace, or the role is above the actor's.
    """
    email = email.strip().lower()
    token = _drawn()
    with scope(workspace.id, actor.pk):
        require(actor, Verb.MANAGE_WORKSPACE)
        held = locked_workspace()
        own = require(actor, Verb.MANAGE_WORKSPACE)
        faults = _faults(held, email, role)
        if faults:
            raise Invalid(faults)
        refuse_above(own.role, role)
        # One that has expired is in nobody's way.
        stale = Invitation.objects.filter(email=email, accepted_at=None, revoked_at=None)
        stale.update(revoked_at=timezone.now())
        made = Invitation.objects.create(
            workspace_id=workspace.id, email=email, role=role, digest=digest_of(token), invited_by=actor,
            expires_at=_expiry(),
        )  # fmt: skip
        audit(actor, "invitation.create", made, email=email, role=str(role))
        _send(made, held, actor, link(token))
    return made


def resend(actor: User, workspace: Workspace, invitation_id: UUID | str, link: Link) -> Invitation:
    """Send an open invitation once more, with a new token; the one that was sent before opens nothing any more.

    Raises:
        Invalid: too many were mailed (`invitation_mails`).
        NotFound: there is none, or it is over.
        PermissionDenied: as `invite`; the invitation is the actor's from then on.
    """
    token = _drawn()
    with scope(workspace.id, actor.pk):
        require(actor, Verb.MANAGE_WORKSPACE)
        held = locked_workspace()
        own = require(actor, Verb.MANAGE_WORKSPACE)
        found = _open(invitation_id)
        refuse_above(own.role, found.role)
        found.digest, found.expires_at, found.invited_by, found.mailed_at = digest_of(token), _expiry(), actor, None
        found.save(update_fields=["digest", "expires_at", "invited_by", "mailed_at"])
        audit(actor, "invitation.resend", found, email=found.email, role=found.role)
        _send(found, held, actor, link(token))
    return found


def revoke(actor: User, workspace: Workspace, invitation_id: UUID | str) -> None:
    """Take an open invitation back. Raises as `resend`."""
    with scope(workspace.id, actor.pk):
        require(actor, Verb.MANAGE_WORKSPACE)
        locked_workspace()
        found = _open(invitation_id)
        found.revoked_at = timezone.now()
        found.save(update_fields=["revoked_at"])
        audit(actor, "invitation.revoke", found, email=found.email, role=found.role)


def of_token(token: str) -> tuple[Invitation, Workspace]:
    """The invitation of a token and its workspace, whatever has become of it.

    Raises:
        NotFound: there is none.
    """
    found = None
    if token.startswith(PREFIX) and len(token) <= MAX_TOKEN:
        digests = digests_of(token)
        with naming(digests):
            found = Invitation.of_digest.filter(digest__in=digests).first()
    if found is None:
        raise NotFound("invitation with this token")
    with scope(found.workspace_id):
        workspace = Workspace.objects.get(pk=found.workspace_id)
        invited = Invitation.objects.select_related("invited_by").get(pk=found.pk)
    return invited, workspace


def why_void(actor: User | None, token: str) -> str:
    """Why an invitation cannot be accepted now, by this person if one is given; empty: it can.

    Raises NotFound.
    """
    found, workspace = of_token(token)
    with scope(workspace.pk):
        fault = _void(found, workspace)
        if fault is None and actor is not None:
            fault = _not_theirs(actor, found)
        if fault is None and actor is not None and Membership.objects.filter(user_id=actor.pk).exists():
            fault = _MEMBER
    return "" if fault is None else f"{fault.message} {fault.mend}"


def accept(actor: User, token: str) -> Membership:
    """Become a member by an invitation. Of several who try at once one does.

    Raises:
        InvitationVoid: it is over, the actor has not confirmed its address, or its inviter could not offer it any more.
        NotFound: there is none with this token.
        PermissionDenied: the actor came with an API key.
    """
    refuse_key(actor)
    found, workspace = of_token(token)
    with scope(workspace.pk, actor.pk):
        held = locked_workspace()
        # Again, under the lock: another may have accepted it, and the inviter may have been demoted meanwhile.
        found = Invitation.objects.select_for_update().get(pk=found.pk)
        fault = _void(found, held) or _not_theirs(actor, found)
        if fault is None and Membership.objects.filter(user_id=actor.pk).exists():
            fault = _MEMBER
        if fault is not None:
            raise InvitationVoid([fault])
        found.accepted_at, found.accepted_by = timezone.now(), actor
        found.save(update_fields=["accepted_at", "accepted_by"])
        made = Membership.objects.create(workspace_id=held.pk, user=actor, role=found.role)
        audit(
            actor, "invitation.accept", found, member=str(made.pk), role=found.role,
            invited_by=None if found.invited_by_id is None else str(found.invited_by_id),
        )  # fmt: skip
        made.workspace = held
    return made


def opened_for(session: Mapping[str, Any]) -> str | None:
    """The address whose invitation was opened in this browser: who did reads the mail that is sent there."""
    opened = session.get(OPENED)
    return None if opened is None else opened["email"]


def confirm_address(user: User, found: Invitation) -> None:
    """Note that a person who brought the token reads the mail of the address, if it is the address of the account."""
    if not found.over and user.email == found.email:
        address, _ = EmailAddress.objects.get_or_create(user=user, email=user.email, defaults={"primary": True})
        if not address.verified:
            address.verified = True
            address.save(update_fields=["verified"])


_MEMBER: Final = Fault("invitation", "You belong to the workspace already.", "There is nothing to accept.")


def _void(found: Invitation, workspace: Workspace) -> Fault | None:
    """Why nobody can accept it now."""
    ask = "Ask for a new one."
    if found.accepted_at is not None:
        return Fault("invitation", "It was accepted already.", ask)
    if found.revoked_at is not None:
        return Fault("invitation", "It was taken back.", ask)
    if found.expires_at <= timezone.now():
        return Fault("invitation", "It has expired.", ask)
    if workspace.delete_at is not None:
        return Fault("invitation", "The workspace is being deleted.", "Ask an owner to restore it.")
    if workspace.suspended_at is not None:
        return Fault("invitation", "The workspace is suspended.", "Ask those who invited you.")
    inviter = Membership.objects.filter(user=found.invited_by, user__is_active=True).first()
    if inviter is None or not may(inviter.role, Verb.MANAGE_WORKSPACE) or above(found.role, inviter.role):
        return Fault("invitation", "Who invited you may not offer this any more.", "Ask somebody else of them.")
    if not admits(workspace.allowed_domains, found.email):
        return Fault("invitation", "The workspace does not admit addresses of this domain any more.", ask)
    return None


def _not_theirs(actor: User, found: Invitation) -> Fault | None:
    """Why this person cannot accept it."""
    if EmailAddress.objects.filter(user_id=actor.pk, email__iexact=found.email, verified=True).exists():
        return None
    return Fault(
        "invitation", "It is for an e-mail address that you have not confirmed here.",
        "Add the address that it was sent to, and confirm it; or sign in as who has it.",
    )  # fmt: skip


def _faults(workspace: Workspace, email: str, role: str) -> list[Fault]:
    faults = []
    if role not in PEOPLE:
        faults.append(Fault("role", "People do not have this role.", f"Give {', '.join(PEOPLE)}."))
    if not admits(workspace.allowed_domains, email):
        allowed = ", ".join(workspace.allowed_domains) or "a domain that takes mail"
        faults.append(Fault("email", "Addresses of this domain are not admitted.", f"Give one of {allowed}."))
    if Membership.objects.filter(user__email=email).exists():
        faults.append(Fault("email", "This is a member's already.", "Change the member's role instead."))
    now = timezone.now()
    open_ones = Invitation.objects.filter(accepted_at=None, revoked_at=None, expires_at__gt=now)
    if open_ones.filter(email=email).exists():
        faults.append(Fault("email", "It is invited already.", "Send that invitation again, or take it back."))
    if open_ones.count() >= OPEN_AT_MOST:
        mend = "Take some back, or wait until they are accepted."
        faults.append(Fault("email", f"There are {OPEN_AT_MOST} open invitations, as many as may be.", mend))
    return faults


def _open(invitation_id: UUID | str) -> Invitation:
    found = Invitation.objects.select_for_update().filter(pk=invitation_id).first()
    if found is None or found.accepted_at is not None or found.revoked_at is not None:
        raise NotFound(f"open invitation {invitation_id}")
    return found


def _drawn() -> str:
    return PREFIX + secrets.token_urlsafe(32)


def _expiry() -> datetime:
    return timezone.now() + timedelta(days=settings.ATTRACTOR.workspaces.invitation_days)


def _send(made: Invitation, workspace: Workspace, inviter: User, address: str) -> None:
    """Send the message once everything is committed, and note that the server took it. Raises Invalid."""
    invitation_mails.count(inviter.pk, workspace.pk, made.email)
    context = {
        "workspace": workspace.name, "inviter": inviter.get_full_name(), "inviter_email": inviter.email,
        "role": Role(made.role).label, "address": address, "expires_at": made.expires_at, "email": made.email,
    }  # fmt: skip

    def send() -> None:
        if mail.send([made.email], "invitation", context):
            made.mailed_at = timezone.now()
            with scope(workspace.pk):
                Invitation.objects.filter(pk=made.pk, digest=made.digest).update(mailed_at=made.mailed_at)

    transaction.on_commit(send)
