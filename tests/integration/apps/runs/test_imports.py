"""Files that people bring."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import threading
import time
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from botocore.exceptions import EndpointConnectionError
from django.conf import settings as live_settings

from apps.ops.refusal import Fault
from apps.runs import files, imports
from apps.runs.models import Artifact, Retention
from apps.runs.sweeping import sweep
from apps.workspaces.models import Role
from apps.workspaces.scope import scope

GOOD = b"t [s],p [Pa]\n0,1.5\n1,2.5\n"


def send(tenant: Any, body: bytes, name: str, **query: Any) -> Any:
    more = "".join(f"&{key}={quote(json.dumps(value))}" for key, value in query.items())
    address = f"{tenant.root}/imports/?name={quote(name)}{more}"
    return tenant.client.post(address, body, content_type="application/octet-stream")


def kept(tenant: Any) -> list[Artifact]:
    with scope(tenant.workspace.id):
        return list(Artifact.objects.all())


def test_a_good_file_becomes_an_artifact_as_it_came(ann: Any) -> None:
    expected = [{"name": "p", "unit": "Pa", "kind": "number", "min": 0}]
    answer = send(ann, GOOD, "pressure.csv", expect=expected)
    assert answer.status_code == 201, answer.json()
    made = answer.json()
    assert (made["kind"], made["size"], made["media_type"]) == ("import", len(GOOD), "text/csv")
    assert [(one["name"], one["unit"], one["shape"]) for one in made["facts"]["columns"]] == [
        ("t", "s", [2]), ("p", "Pa", [2]),
    ]  # fmt: skip
    assert b"".join(ann.client.get(made["url"]).streaming_content) == GOOD


def test_everything_that_is_wrong_is_listed_and_nothing_is_kept(ann: Any) -> None:
    answer = send(ann, b"t [s],p [kPa]\n0,x\nnan,2.5\n", "p.csv", expect=[{"name": "p", "unit": "Pa"}, {"name": "q"}])
    assert answer.status_code == 422
    assert {one["place"] for one in answer.json()["problems"]} == {"row 3, column t", "column p", "column q"}
    assert kept(ann) == []


@pytest.mark.parametrize("name", ["../x.csv", "a/b.csv", ".csv", "", "x" * 201, "x\n.csv"])
def test_a_name_is_no_path(ann: Any, name: str) -> None:
    assert send(ann, GOOD, name).status_code == 400


def test_what_is_too_large_is_refused_unread(ann: Any, settings: Any) -> None:
    quotas = settings.ATTRACTOR.quotas.model_copy(update={"upload": 10})
    settings.ATTRACTOR = settings.ATTRACTOR.model_copy(update={"quotas": quotas})
    assert send(ann, GOOD, "x.csv").status_code == 413
    quotas = settings.ATTRACTOR.quotas.model_copy(update={"upload": 10**6, "storage": 10})
    settings.ATTRACTOR = settings.ATTRACTOR.model_copy(update={"quotas": quotas})
    assert send(ann, GOOD, "x.csv").status_code == 429
    assert not list(Path(live_settings.DATA_DIR).glob("scratch/import-*"))
    assert kept(ann) == []


def test_the_file_of_a_refused_import_goes(ann: Any, monkeypatch: Any) -> None:
    """Of many at once, for which there was room when each began, those without room leave nothing."""
    monkeypatch.setattr("apps.runs.imports.may_import", lambda *_: None)
    monkeypatch.setattr("apps.runs.imports.storage_faults", lambda _: [Fault("storage", "is full.", "Wait.")])
    assert send(ann, GOOD, "x.csv").status_code == 429
    place = files.stored(ann.workspace.id, hashlib.sha256(GOOD).hexdigest())
    assert files.exists(place)
    sweep()
    assert not files.exists(place)


def test_a_storage_that_is_away_is_a_503(ann: Any, monkeypatch: Any) -> None:
    def away(*_: Any) -> None:
        raise EndpointConnectionError(endpoint_url="https://storage.example.org")

    content = send(ann, GOOD, "x.csv").json()["url"]
    for name in ("put", "opened"):
        monkeypatch.setattr(files, name, away)
    for answer in (send(ann, b"a\n1\n", "y.csv"), ann.client.get(content)):
        assert (answer.status_code, answer.json()["code"]) == (503, "storage_away")
        assert int(answer["Retry-After"]) > 0
    assert len(kept(ann)) == 1


def test_a_file_sent_twice_with_a_key_is_kept_once(ann: Any) -> None:
    def again(body: bytes, name: str = "x.csv") -> Any:
        address = f"{ann.root}/imports/?name={name}"
        key = {"Idempotency-Key": "k"}
        return ann.client.post(address, body, content_type="application/octet-stream", headers=key)

    made = {again(GOOD).json()["id"] for _ in range(2)}
    assert {str(one.pk) for one in kept(ann)} == made
    assert again(b"a\n1\n").json()["code"] == "idempotency_key_used"
    assert again(GOOD, "y.csv").json()["code"] == "idempotency_key_used"
    assert len(kept(ann)) == 1


def test_only_some_files_are_checked_at_once_and_their_reader_knows_no_secret(ann: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(imports, "WAIT_SECONDS", 0.01)
    monkeypatch.setattr(imports, "_checks", threading.BoundedSemaphore(1))
    monkeypatch.setenv("ATTRACTOR__SECRET_KEY", "secret")
    run, others = subprocess.run, []

    def meanwhile(*args: Any, **more: Any) -> Any:
        assert set(more["env"]) <= {"PATH", "PYTHONPATH"}
        others.append(send(ann, GOOD, "y.csv"))
        return run(*args, **more)

    monkeypatch.setattr(subprocess, "run", meanwhile)
    assert send(ann, GOOD, "x.csv").status_code == 201
    (other,) = others
    assert (other.status_code, other.json()["code"]) == (503, "busy")
    assert int(other["Retry-After"]) > 0


def test_a_hostile_archive_is_refused_at_once(ann: Any, tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../a.npy", bytes(10_000_000))
    begun = time.process_time()
    answer = send(ann, path.read_bytes(), "x.npz")
    print(f"{1e3 * (time.process_time() - begun):.0f} ms of processor for the whole request")
    assert answer.status_code == 422
    assert len(answer.json()["problems"]) == 2


def test_a_file_that_kills_its_reader_is_a_refusal(ann: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("apps.runs.imports.MEMORY", 2**20)
    body = io.BytesIO()
    np.savez(body, x=np.asfortranarray(np.random.default_rng(1).normal(size=(1000, 2000))))
    answer = send(ann, body.getvalue(), "x.npz")
    assert (answer.status_code, answer.json()["problems"][0]["place"]) == (422, "file")


def test_retention_is_set_by_managers_and_told_to_all(ann: Any, member_of: Any, client: Any) -> None:
    assert ann.get("/retention/").json() == {"artifact_days": None, "checkpoint_days": 0}
    client.force_login(member_of(ann, Role.EDITOR))
    edits = {"If-Match": ann.get("/retention/")["ETag"]}
    body = {"artifact_days": 30, "checkpoint_days": 2}
    address = f"{ann.root}/retention/"
    assert client.put(address, body, content_type="application/json", headers=edits).status_code == 403
    assert ann.client.put(address, body, content_type="application/json", headers=edits).json() == body
    assert client.get(address).json() == body
    assert ann.client.put(address, body, content_type="application/json", headers=edits).status_code == 412
    assert ann.client.put(address, {"artifact_days": 0}, content_type="application/json").status_code == 400
    with scope(ann.workspace.id):
        assert Retention.objects.count() == 1
