"""What roles may do, written out by hand."""

import pytest

from apps.workspaces.models import Role
from apps.workspaces.permissions import Verb, may

MAY_WRITE = {"owner", "admin", "editor", "api"}
MAY_MANAGE = {"owner", "admin"}


@pytest.mark.parametrize("role", Role.values)
def test_roles(role: str) -> None:
    assert may(role, Verb.READ)
    for verb in (Verb.WRITE_PROJECT, Verb.WRITE_GRAPH, Verb.SUBMIT_RUN, Verb.CONTROL_RUN, Verb.WRITE_ARTIFACT):
        assert may(role, verb) == (role in MAY_WRITE), verb
    assert may(role, Verb.MAKE_KEY) == (role in MAY_WRITE - {"api"})
    assert may(role, Verb.SHARE) == (role in MAY_WRITE - {"api"})
    for verb in (Verb.MANAGE_WEBHOOKS, Verb.MANAGE_WORKSPACE, Verb.READ_AUDIT):
        assert may(role, verb) == (role in MAY_MANAGE), verb
    for verb in (Verb.SECURE_WORKSPACE, Verb.OWN_WORKSPACE):
        assert may(role, verb) == (role == "owner"), verb


def test_every_verb_is_covered_above() -> None:
    assert {verb.value for verb in Verb} == {
        "workspace.read", "project.write", "graph.write", "run.submit", "run.control", "artifact.write", "key.make",
        "webhook.manage", "workspace.manage", "workspace.own", "workspace.secure", "audit.read", "link.share",
    }  # fmt: skip
