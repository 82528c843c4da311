"""Writes on people."""

from allauth.account.models import EmailAddress
from django.db import transaction

from apps.accounts.models import User, UserManager
from apps.projects.services import first_project
from apps.workspaces.models import Workspace
from apps.workspaces.selectors import workspaces_of
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


@transaction.atomic
def ensure_demo(email: str, password: str) -> bool:
    """The demo account, with a confirmed address, this password, a workspace and a project; whether it was made."""
    user = User.objects.filter(email=UserManager.normalize_email(email)).first()
    made = user is None
    if user is None:
        user = register(email, password, name="Demo")
    elif not user.check_password(password):
        user.set_password(password)
        user.save(update_fields=["password"])
    if not workspaces_of(user):
        settle(user)
    EmailAddress.objects.update_or_create(user=user, email=user.email, defaults={"verified": True, "primary": True})
    return made
