"""Writes on people."""

from django.db import transaction

from apps.accounts.models import User
from apps.projects.services import first_project
from apps.workspaces.models import Workspace
from apps.workspaces.services import create_personal_workspace


@transaction.atomic
def register(email: str, password: str | None, name: str = "", **fields: bool) -> User:
    """A new person with a workspace and a first project; all or nothing."""
    user = User.objects.create_user(email, password, name=name, **fields)
    settle(user)
    return user


@transaction.atomic
def settle(user: User) -> Workspace:
    """Give a new person the personal workspace and the first project."""
    workspace = create_personal_workspace(user)
    first_project(user, workspace)
    return workspace
