"""What a request to a page inside a workspace carries, put there by `apps.workspaces.middleware`."""

from django.http import HttpRequest

from apps.accounts.models import User
from apps.workspaces.models import Membership, Workspace


class WorkspaceRequest(HttpRequest):
    """A request of a member; the view runs inside the workspace's scope."""

    user: User
    membership: Membership
    workspace: Workspace
