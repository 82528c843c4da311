"""Everything that is kept about a person, as JSON.

The account's own rows; of every workspace the rows that name the person, and all where there is nobody else. Secrets
and their hashes are left out, and so are files: artifacts are named with their hash, and fetched by the API. Of a
workspace that the person may not enter only the name is there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import reduce
from operator import or_
from typing import Any, Final

from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount
from django.apps import apps
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import ForeignKey, Model, Q, QuerySet

from apps.accounts.models import AccountEvent, Passkey, Session, TotpDevice, User
from apps.workspaces.models import Membership, Workspace
from apps.workspaces.rows import WorkspaceModel
from apps.workspaces.scope import scope
from apps.workspaces.selectors import may_enter, memberships_of, other_people

NOT_ENTERED: Final = "This workspace is entered with two-step sign-in only. Set it up, and download your data again."

LEFT_OUT: Final = frozenset(
    {"password", "session_key", "session_data", "key", "secret", "old_secrets", "digest", "old_digest", "last_step"}
)
"""Names of columns that open something, or once did."""


def pieces(user: User) -> Iterator[str]:
    """The JSON text, piece by piece: an object with the account's tables by name and `workspaces`, a list."""
    yield "{"
    for number, (name, rows) in enumerate(_of_the_account(user)):
        yield ("," if number else "") + json.dumps(name) + ": "
        yield from _array(rows)
    yield ', "workspaces": ['
    for number, membership in enumerate(memberships_of(user)):
        yield "," if number else ""
        yield from _of_a_workspace(user, membership)
    yield "]}\n"


def _of_the_account(user: User) -> Iterator[tuple[str, QuerySet[Any]]]:
    yield "account", User.objects.filter(pk=user.pk)
    for model in (EmailAddress, SocialAccount, Session, TotpDevice, Passkey, AccountEvent):
        yield model._meta.label_lower, model._default_manager.filter(user=user)


def _of_a_workspace(user: User, membership: Membership) -> Iterator[str]:
    if not may_enter(user, membership):
        # What somebody without the second factor is not shown there is not given here either.
        known = {"id": membership.workspace_id, "name": membership.workspace.name}
        yield f'{{"workspace": {_json(known)}, "left_out": {_json(NOT_ENTERED)}}}'
        return
    with scope(membership.workspace_id, user.pk):
        alone = not other_people(user).exists()
        yield '{"workspace": ' + _json(_plain(Workspace.objects.get(pk=membership.workspace_id)))
        for model in apps.get_models():
            if not issubclass(model, WorkspaceModel):
                continue
            people = [field.name for field in model._meta.fields if _names_people(field)]
            if not (alone or people):
                continue
            rows = model._default_manager.all()
            if not alone:
                rows = rows.filter(reduce(or_, (Q(**{name: user}) for name in people)))
            yield f", {json.dumps(model._meta.label_lower)}: "
            yield from _array(rows)
        yield "}"


def _names_people(field: Any) -> bool:
    return isinstance(field, ForeignKey) and field.related_model is User


def _array(rows: QuerySet[Any]) -> Iterator[str]:
    yield "["
    for number, row in enumerate(rows.order_by("pk").iterator(chunk_size=500)):
        yield ("," if number else "") + _json(_plain(row))
    yield "]"


def _plain(row: Model) -> dict[str, Any]:
    return {
        field.attname: getattr(row, field.attname)
        for field in row._meta.concrete_fields
        if field.attname not in LEFT_OUT and not field.attname.startswith("_")
    }


def _json(value: Any) -> str:
    return json.dumps(value, cls=_Encoder)


class _Encoder(DjangoJSONEncoder):
    def default(self, o: Any) -> Any:
        # Hashes and the like are bytes in some tables.
        return o.hex() if isinstance(o, bytes | memoryview) else super().default(o)
