"""Who belongs to a workspace, who is invited, and the way out."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.core.validators import validate_email
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.accounts import proof
from apps.ops.refusal import Invalid
from apps.web.views.outcome import done, errors_of
from apps.web.views.request import WorkspaceRequest
from apps.workspaces import invitations, selectors
from apps.workspaces import members as services
from apps.workspaces.invitations_api import link_on
from apps.workspaces.models import Membership, Role
from apps.workspaces.permissions import Verb, above, may, require

PAGE_SIZE = 100


@require_http_methods(["GET", "HEAD", "POST"])
def members(request: WorkspaceRequest, slug: str) -> HttpResponse:
    """The members, page by page, and for those who manage the workspace the open invitations. POST invites somebody."""
    manages = may(request.membership.role, Verb.MANAGE_WORKSPACE)
    email, role, errors = "", str(Role.EDITOR), {}
    if request.method == "POST":
        require(request.user, Verb.MANAGE_WORKSPACE)
        email, role = request.POST.get("email", "").strip(), request.POST.get("role", "")
        try:
            validate_email(email)
        except ValidationError:
            errors["email"] = "Give an e-mail address such as ada@example.org."
        if not errors and role in services.MANAGING and not proof.is_fresh(request):
            return proof.ask(request)
        if not errors:
            try:
                invitations.invite(request.user, request.workspace, email, role, link_on(request))
                messages.success(request, f"{email} is invited.")
                return redirect("web:members", slug=slug)
            except Invalid as refusal:
                errors = errors_of(refusal)
    page = Paginator(selectors.members(), PAGE_SIZE).get_page(request.GET.get("page"))
    context = {
        "workspace": request.workspace,
        "page": page,
        "members": [_shown(request, one) for one in page.object_list],
        "manages": manages,
        "owns": may(request.membership.role, Verb.OWN_WORKSPACE),
        "invitations": list(invitations.invitations()) if manages else [],
        "roles": _roles(request),
        "email": email,
        "role": role,
        "errors": errors,
    }
    return render(request, "web/members.html", context, status=422 if errors else 200)


def _roles(request: WorkspaceRequest) -> list[tuple[str, str]]:
    """The roles that the one who asks may give."""
    return [(role.value, role.label) for role in services.PEOPLE if not above(role, request.membership.role)]


def _shown(request: WorkspaceRequest, member: Membership) -> dict[str, object]:
    machine = services.is_machine(member)
    touchable = may(request.membership.role, Verb.MANAGE_WORKSPACE) and not machine
    return {
        "row": member,
        "machine": machine,
        "mine": member.user_id == request.user.pk,
        "may_change": touchable and not above(member.role, request.membership.role),
    }


@require_safe
def member(request: WorkspaceRequest, slug: str, member_id: UUID) -> HttpResponse:
    """One member: the role to be changed, and the questions before removal and transfer."""
    require(request.user, Verb.MANAGE_WORKSPACE, while_closing=True)
    found = selectors.member(member_id)
    context = {
        "workspace": request.workspace,
        "member": _shown(request, found),
        "roles": _roles(request),
        "owns": may(request.membership.role, Verb.OWN_WORKSPACE),
    }
    return render(request, "web/member.html", context)


def _role_of(member_id: UUID) -> str:
    return selectors.member(member_id).role


@require_POST
def change_role(request: WorkspaceRequest, slug: str, member_id: UUID) -> HttpResponse:
    """Give a member another role."""
    role = request.POST.get("role", "")
    if not services.MANAGING.isdisjoint({role, _role_of(member_id)}) and not proof.is_fresh(request):
        return proof.ask(request)
    done(
        request,
        lambda: services.change_role(request.user, request.workspace, member_id, role),
        "The role is changed. It holds from now on.",
    )
    return redirect("web:members", slug=slug)


@require_POST
def remove_member(request: WorkspaceRequest, slug: str, member_id: UUID) -> HttpResponse:
    """Take a member out of the workspace."""
    if _role_of(member_id) in services.MANAGING and not proof.is_fresh(request):
        return proof.ask(request)
    removed = done(
        request,
        lambda: services.remove_member(request.user, request.workspace, member_id),
        "The member is removed. What they made stays.",
    )
    away = removed and request.membership.pk == member_id
    return redirect("web:landing") if away else redirect("web:members", slug=slug)


@require_POST
def transfer(request: WorkspaceRequest, slug: str, member_id: UUID) -> HttpResponse:
    """Make a member the owner in one's own place."""
    if not proof.is_fresh(request):
        return proof.ask(request)
    done(
        request,
        lambda: services.transfer(request.user, request.workspace, member_id),
        "The workspace has a new owner. You are an administrator of it.",
    )
    return redirect("web:members", slug=slug)


@require_http_methods(["GET", "HEAD", "POST"])
def leave(request: WorkspaceRequest, slug: str) -> HttpResponse:
    """Asks whether one wants to leave; POST leaves."""
    if request.method == "POST":
        told = f"You belong to {request.workspace.name} no more."
        left = done(request, lambda: services.leave(request.user, request.workspace), told)
        return redirect("web:landing") if left else redirect("web:members", slug=slug)
    return render(request, "web/leave.html", {"workspace": request.workspace})


@require_POST
def resend_invitation(request: WorkspaceRequest, slug: str, invitation_id: UUID) -> HttpResponse:
    """Send an invitation once more."""
    require(request.user, Verb.MANAGE_WORKSPACE)
    if invitations.invitation(invitation_id).role in services.MANAGING and not proof.is_fresh(request):
        return proof.ask(request)
    done(
        request,
        lambda: invitations.resend(request.user, request.workspace, invitation_id, link_on(request)),
        "The invitation is sent again. The message before is worth nothing any more.",
    )
    return redirect("web:members", slug=slug)


@require_POST
def revoke_invitation(request: WorkspaceRequest, slug: str, invitation_id: UUID) -> HttpResponse:
    """Take an invitation back."""
    invitations.revoke(request.user, request.workspace, invitation_id)
    messages.success(request, "The invitation is taken back.")
    return redirect("web:members", slug=slug)
