"""Who may what, written out by hand: the permission that each address needs, and in docs/workspaces.md which role has
which. Nothing here is read from the code that decides.

`needs` is a permission of that table; `person` is whoever belongs to the workspace and came without an API key. Who has
it is answered with the status of the address's `Row` in `addresses`; `others` says where a role is answered otherwise,
with a star if something is written all the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from config.layers import ROOT

TABLE: Final = """
api-workspace               get     workspace.read
api-workspace               patch   workspace.manage
api-workspace               delete  workspace.own
api-workspace-restore       post    workspace.own
api-leave                   post    person              administrator=204* editor=204* viewer=204*
api-transfer                post    workspace.own
api-members                 get     workspace.read
api-member                  get     workspace.read
api-member                  patch   workspace.manage
api-member                  delete  workspace.manage
api-invitations             get     workspace.manage
api-invitations             post    workspace.manage
api-invitation-resend       post    workspace.manage
api-invitation-revoke       post    workspace.manage
api-audit                   get     audit.read
api-audit-export            get     audit.read
api-shares                  get     workspace.read
api-shares                  post    link.share
api-share-revoke            post    link.share          editor=404
api-usage                   get     workspace.read
api-projects                get     workspace.read
api-projects                post    project.write
api-project                 get     workspace.read
api-project                 patch   project.write
api-project                 delete  project.write
api-graphs                  get     workspace.read
api-graphs                  post    graph.write
api-graph                   get     workspace.read
api-graph                   put     graph.write
api-graph                   patch   graph.write
api-graph                   delete  graph.write
api-graph-check             post    workspace.read
api-graph-versions          get     workspace.read
api-graph-version           get     workspace.read
api-graph-diff              get     workspace.read
api-graph-restore           post    graph.write
api-runs                    get     workspace.read
api-runs                    post    run.submit
api-runs-cancel             post    run.control
api-runs-compare            get     workspace.read
api-runs-curves             get     workspace.read
api-runs-series             get     workspace.read
api-run                     get     workspace.read
api-run-events              get     workspace.read
api-run-attempts            get     workspace.read
api-run-checkpoints         get     workspace.read
api-run-result              get     workspace.read
api-run-cancel              post    run.control
api-run-pause               post    run.control
api-run-resume              post    run.control
api-run-controls            post    run.control
api-run-triggers            post    run.control
api-sweeps                  post    run.submit
api-fits                    post    run.submit
api-run-points              get     workspace.read
api-run-rerun               post    run.submit
api-run-manifest            get     workspace.read
api-run-reproducibility     get     workspace.read
api-run-reproduce           post    run.submit
api-run-verdict             get     workspace.read
api-run-apply               post    graph.write
api-run-formats             get     workspace.read
api-run-exports             get     workspace.read
api-run-exports             post    artifact.write
api-run-recording           get     workspace.read
api-run-recording-retry     post    artifact.write
api-export                  get     workspace.read
api-export-cancel           post    artifact.write
api-artifacts               get     workspace.read
api-artifact                get     workspace.read
api-artifact                delete  artifact.write
api-artifact-content        get     workspace.read
api-imports                 post    artifact.write
api-retention               get     workspace.read
api-retention               put     workspace.manage
api-workspace-security      get     workspace.read
api-workspace-security      put     workspace.secure
api-keys                    get     workspace.read
api-keys                    post    key.make
api-key-rotate              post    key.make            administrator=403 editor=404
api-key-revoke              post    key.make            editor=404
api-webhooks                get     webhook.manage
api-webhooks                post    webhook.manage
api-webhook                 get     webhook.manage
api-webhook                 patch   webhook.manage
api-webhook                 delete  webhook.manage
api-webhook-secret          post    webhook.manage
api-webhook-ping            post    webhook.manage
api-webhook-deliveries      get     webhook.manage
api-webhook-delivery        get     webhook.manage
api-webhook-replay          post    webhook.manage
web:workspace               get     workspace.read
web:projects                get     workspace.read
web:projects                post    project.write
web:project                 get     workspace.read
web:graph                   get     workspace.read
web:submit_run              post    run.submit
web:runs                    get     workspace.read
web:run                     get     workspace.read
web:compare                 get     workspace.read
web:keys                    get     workspace.read
web:keys                    post    key.make
web:rotate_key              post    key.make            administrator=403 editor=404
web:revoke_key              post    key.make            editor=404
web:workspace_security      get     workspace.secure
web:workspace_security      post    workspace.secure
web:settings                get     workspace.read
web:settings                post    workspace.manage
web:set_retention           post    workspace.manage
web:delete_workspace        get     workspace.own
web:delete_workspace        post    workspace.own
web:restore_workspace       post    workspace.own
web:leave                   get     workspace.read
web:leave                   post    person              administrator=302* editor=302* viewer=302*
web:members                 get     workspace.read
web:members                 post    workspace.manage
web:member                  get     workspace.manage
web:change_role             post    workspace.manage
web:remove_member           post    workspace.manage
web:transfer                post    workspace.own
web:resend_invitation       post    workspace.manage
web:revoke_invitation       post    workspace.manage
web:usage                   get     workspace.read
web:audit                   get     audit.read
web:export_audit            get     audit.read
web:shares                  get     workspace.read
web:shares                  post    link.share
web:unshare                 post    link.share          editor=404
web:webhooks                get     webhook.manage
web:webhooks                post    webhook.manage
web:webhook                 get     webhook.manage
web:webhook                 post    webhook.manage
web:rotate_webhook          post    webhook.manage
web:switch_webhook          post    webhook.manage
web:ping_webhook            post    webhook.manage
web:replay_delivery         post    webhook.manage
web:delete_webhook          post    webhook.manage
web:use_preset              post    graph.write
"""

CLOSING: Final = """
api-workspace               delete  409
api-workspace-restore       post    200*
api-leave                   post    409
api-share-revoke            post    204*
api-graph-check             post    200
api-key-revoke              post    204*
web:revoke_key              post    302*
web:delete_workspace        post    302
web:restore_workspace       post    302*
web:leave                   post    302
web:unshare                 post    302*
"""
"""What an owner is answered while the workspace is being deleted, where that is not 403: everything can be looked at,
and nothing made or changed but what takes something away, or takes the deletion back."""

SUSPENDED: Final = """
api-leave                   post    409
api-share-revoke            post    204*
api-graph-check             post    200
api-key-revoke              post    204*
web:revoke_key              post    302*
web:leave                   post    302
web:unshare                 post    302*
web:delete_workspace        get     403
"""
"""What an owner is answered while operators have suspended the workspace, where that is not 403, or for GET not what it
is otherwise: as while it is being deleted, but that neither is it deleted now nor is a deletion taken back. The last
owner cannot leave in any case."""

ROLES: Final = ("owner", "administrator", "editor", "viewer", "machine")
KEY: Final = "api key"


@dataclass(frozen=True)
class Truth:
    """What one method of one address needs, and the roles that are answered otherwise."""

    needs: str
    others: dict[str, tuple[int, bool]]


def _rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.strip().splitlines()]


def _answer(text: str) -> tuple[int, bool]:
    return int(text.removesuffix("*")), text.endswith("*")


TRUTH: Final[dict[tuple[str, str], Truth]] = {
    (name, method): Truth(needs, {role: _answer(text) for role, _, text in (one.partition("=") for one in others)})
    for name, method, needs, *others in _rows(TABLE)
}
WHILE_CLOSING: Final = {(name, method): _answer(text) for name, method, text in _rows(CLOSING)}
WHILE_SUSPENDED: Final = {(name, method): _answer(text) for name, method, text in _rows(SUSPENDED)}


def has() -> dict[str, set[str]]:
    """The permissions of every role, and under `KEY` those that an API key can allow, as the documentation says."""
    found: dict[str, set[str]] = {who: set() for who in (*ROLES, KEY)}
    text = (ROOT / "docs" / "workspaces.md").read_text(encoding="utf-8")
    head, _, *rows = re.findall(r"^\| (?:To|\-|.*`[a-z]+\.[a-z]+`).*$|^\|---.*$", text, re.MULTILINE)
    columns = [one.strip().lower() for one in head.strip("|").split("|")]
    for row in rows:
        cells = dict(zip(columns, (one.strip() for one in row.strip().strip("|").split("|")), strict=True))
        for who, verbs in found.items():
            if cells[who] == "✓":
                verbs.add(cells["permission"].strip("`"))
    return found


HAS: Final = has()
PERSON: Final = "person"
