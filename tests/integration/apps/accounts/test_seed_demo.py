"""manage.py seed_demo"""

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from apps.accounts.models import User
from apps.projects.models import Project
from apps.workspaces.scope import scope
from apps.workspaces.selectors import workspaces_of

pytestmark = pytest.mark.django_db


def test_it_makes_one_account_however_often_it_runs(tmp_path: Path, client: object) -> None:
    file = tmp_path / "password"
    for password in ("first secret of many", "first secret of many", "second secret of many"):
        file.write_text(f"{password}\n")
        call_command("seed_demo", email="demo@example.org", password_file=file)
        user = User.objects.get()
        assert user.check_password(password)
        (workspace,) = workspaces_of(user)
        with scope(workspace.id):
            assert Project.objects.count() == 1
        (address,) = user.emailaddress_set.all()
        assert (address.verified, address.primary) == (True, True)


def test_the_password_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTRACTOR_DEMO_PASSWORD", "out of the environment")
    call_command("seed_demo", email="demo@example.org")
    assert User.objects.get().check_password("out of the environment")


def test_without_a_password_nothing_is_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ATTRACTOR_DEMO_PASSWORD", raising=False)
    with pytest.raises(CommandError, match="--password-file"):
        call_command("seed_demo")
    with pytest.raises(CommandError, match="no file"):
        call_command("seed_demo", password_file=tmp_path / "absent")
    assert not User.objects.exists()
