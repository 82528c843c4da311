"""Addresses under /api/v1/."""

from django.urls import path

from apps.workspaces import audit_api, invitations_api, keys_api, members_api
from apps.workspaces.api import WorkspaceDetail, WorkspaceList, WorkspaceRestore
from apps.workspaces.security_api import WorkspaceSecurity

_HERE = "workspaces/<slug:slug>/"
_KEYS = f"{_HERE}keys/"
_INVITATIONS = f"{_HERE}invitations/"

urlpatterns = [
    path("workspaces/<slug:slug>/security/", WorkspaceSecurity.as_view(), name="api-workspace-security"),
    path("workspaces/", WorkspaceList.as_view(), name="api-workspaces"),
    path("invitations/accept/", invitations_api.InvitationAccept.as_view(), name="api-invitation-accept"),
    path(_HERE, WorkspaceDetail.as_view(), name="api-workspace"),
    path(f"{_HERE}restore/", WorkspaceRestore.as_view(), name="api-workspace-restore"),
    path(f"{_HERE}leave/", members_api.Leave.as_view(), name="api-leave"),
    path(f"{_HERE}transfer/", members_api.Transfer.as_view(), name="api-transfer"),
    path(f"{_HERE}members/", members_api.MemberList.as_view(), name="api-members"),
    path(f"{_HERE}members/<uuid:member_id>/", members_api.MemberDetail.as_view(), name="api-member"),
    path(_INVITATIONS, invitations_api.InvitationList.as_view(), name="api-invitations"),
    path(
        f"{_INVITATIONS}<uuid:invitation_id>/resend/",
        invitations_api.InvitationResend.as_view(),
        name="api-invitation-resend",
    ),
    path(
        f"{_INVITATIONS}<uuid:invitation_id>/revoke/",
        invitations_api.InvitationRevoke.as_view(),
        name="api-invitation-revoke",
    ),
    path(f"{_HERE}audit/", audit_api.AuditList.as_view(), name="api-audit"),
    path(f"{_HERE}audit/export/", audit_api.AuditExport.as_view(), name="api-audit-export"),
    path(_KEYS, keys_api.KeyList.as_view(), name="api-keys"),
    path(f"{_KEYS}<uuid:key_id>/rotate/", keys_api.KeyRotate.as_view(), name="api-key-rotate"),
    path(f"{_KEYS}<uuid:key_id>/revoke/", keys_api.KeyRevoke.as_view(), name="api-key-revoke"),
]
