"""What requests carry: a person, and inside a workspace what `apps.workspaces.middleware` puts there."""

from django.http import HttpRequest

from apps.accounts.models import User
from apps.workspaces.models import Membership, Workspace


class SignedInRequest(HttpRequest):
    """A request of somebody who is signed in (`login_required`)."""

    user: User


class WorkspaceRequest(SignedInRequest):
    """A request of a member; the view runs inside the workspace's scope."""

    membership: Membership
    workspace: Workspace
