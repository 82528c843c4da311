"""What docs/security says of the code is so, and what it says is nowhere is nowhere."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.layers import ROOT, leaves

SECURITY = ROOT / "docs" / "security"


def manual(name: str) -> str:
    return (SECURITY / name).read_text("utf-8")


def modules(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    """(path in the checkout, tree) of our own modules but for migrations."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "migrations" not in path.parts:
                yield str(path.relative_to(ROOT)), ast.parse(path.read_text("utf-8"))


def imported(tree: ast.Module) -> set[str]:
    """Dotted names that a module imports."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{one.name}" for one in node.names)}
    return found


def called(tree: ast.Module) -> set[str]:
    """Names of what a module calls, without what stands before the last dot."""
    return {
        node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
    }


# --- Cryptography ---

KEYED = ("cryptography", "hmac", "jwt", "django.core.signing", "django.utils.crypto")
WEAK = {"md5", "sha1", "SHA1", "MD5", "AES", "ECB", "CBC", "TripleDES", "ARC4", "DES", "Blowfish", "PKCS1v15"}


def test_cryptography_is_used_where_the_inventory_says() -> None:
    inventory = manual("cryptography.md")
    users = {
        path
        for path, tree in modules("apps", "config", "platform/attractor")
        if any(name.split(".")[0] in KEYED or name in KEYED for name in imported(tree))
    }
    assert users, "else nothing was looked at"
    # By its path, or as it is imported.
    names = {path: (f"`{path}`", f"`{path.removesuffix('.py').replace('/', '.')}`") for path in users}
    assert [path for path in sorted(users) if not any(name in inventory for name in names[path])] == []
    weak = {path: found for path, tree in modules("apps", "config") if (found := called(tree) & WEAK)}
    assert weak == {}


def test_nothing_secret_is_drawn_by_a_generator_that_can_be_guessed() -> None:
    """`random` knows no secrets: those who import it are listed, with what they draw."""
    allowed = {
        "apps/webhooks/services.py",  # how much later than planned a message is tried again
        "apps/runs/services.py",  # a seed, which is shown
    }
    users = {path for path, tree in modules("apps", "config") if "random" in imported(tree)}
    assert users <= allowed
    seeds = {path for path, tree in modules("apps", "config") if {"uuid1", "getrandbits", "randint"} & called(tree)}
    assert seeds <= allowed


def test_a_recovery_code_has_more_bits_than_a_plain_hash_needs() -> None:
    from apps.accounts.mfa import recovery

    codes = {recovery._drawn() for _ in range(200)}
    assert len(codes) == 200
    plain = [recovery.plain(code) for code in codes]
    assert {len(code) for code in plain} == {28}
    # 28 signs of 32 that are all drawn: 140 bits; ASVS asks 112 of what is hashed fast, and 128 of what is secret.
    assert set("".join(plain)) == set("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
    assert all(recovery.is_code(code) for code in plain)


# --- Connections, files, logs ---


def test_the_manual_names_every_service_of_the_configuration() -> None:
    text = manual("connections.md")
    services = {"database", "valkey", "storage", "email", "oauth", "webhooks", "sentry", "web", "live"}
    sections = {key.partition(".")[0] for key, _ in leaves() if "." in key}
    assert services <= sections
    assert [one for one in sorted(services) if f"`{one}." not in text] == []
    for key in re.findall(r"`((?:web|database|valkey|live|webhooks|runs|quotas|security|oauth|email)\.[a-z_]+)`", text):
        assert key in dict(leaves()), key


def test_the_manual_names_the_files_that_are_taken() -> None:
    from attractor.importing.check import FORMATS

    files = manual("input.md").partition("## Files")[2].partition("## Fields")[0]
    said = {
        suffix for line in files.splitlines() if line.startswith("| `.") for suffix in re.findall(r"`(\.\w+)`", line)
    }
    assert said == set(FORMATS)


def test_every_event_of_the_log_is_in_the_manual() -> None:
    """Of accounts, of requests and of services that are away; what workers say of runs is no matter of security."""
    text = manual("logging.md")
    events = {
        node.args[0].value
        for path, tree in modules("apps/accounts", "apps/ops", "apps/workspaces", "config")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name) and node.func.value.id in ("log", "logger")
        and node.args and isinstance(node.args[0], ast.Constant) and re.fullmatch("[a-z_]+", str(node.args[0].value))
    }  # fmt: skip
    assert len(events) > 8
    assert [one for one in sorted(events) if f"`{one}`" not in text] == []


def test_the_time_frames_are_said() -> None:
    rows = re.findall(r"^\| (critical|high|medium|low)\b[^|]*\| ([^|]+)\|$", (ROOT / "SECURITY.md").read_text(), re.M)
    assert [severity for severity, _ in rows] == ["critical", "high", "medium", "low"]
    days = [int(found.group(1)) for _, when in rows if (found := re.match(r"(\d+) days", when))]
    assert days == sorted(days)
    assert len(days) == 3


def test_every_component_is_pinned_and_comes_from_its_registry() -> None:
    lines = (ROOT / "requirements" / "lock.txt").read_text().splitlines()
    pinned = [line for line in lines if line and not line.startswith("#")]
    assert len(pinned) > 100
    assert [line for line in pinned if not re.fullmatch(r"[A-Za-z0-9._-]+==[^\s;]+( ;.*)?", line)] == []
    packages = json.loads((ROOT / "static" / "src" / "package-lock.json").read_text())["packages"]
    named = {name: one for name, one in packages.items() if name and not one.get("link")}
    assert len(named) > 50
    assert [name for name, one in named.items() if not one.get("integrity", "").startswith("sha512-")] == []
    elsewhere = [one["resolved"] for one in named.values() if not one.get("resolved", "https:").startswith("https:")]
    assert elsewhere == []


# --- The front end ---


def sources() -> list[Path]:
    folder = ROOT / "static" / "src"
    found = [path for path in folder.rglob("*.ts*") if "node_modules" not in path.parts and ".test." not in path.name]
    assert len(found) > 30
    return found


def test_no_source_of_the_front_end_writes_markup() -> None:
    sinks = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|dangerouslySetInnerHTML|document\.write|\beval\(|new Function"
        r"|createContextualFragment|srcdoc|postMessage|__proto__|\bprototype\["
    )
    found = {path.name: sinks.findall(text) for path in sources() if sinks.search(text := path.read_text("utf-8"))}
    assert found == {}


def test_the_front_end_keeps_nothing_but_a_switch_in_the_browser() -> None:
    stores = re.compile(
        r"localStorage\.\w+\(([^,)]*)|sessionStorage|indexedDB|caches\.open|document\.cookie\s*=\s*`\$\{(\w+)"
    )
    kept = {(path.name, one[0] or one[1]) for path in sources() for one in stores.findall(path.read_text("utf-8"))}
    assert kept == {("Shortcuts.tsx", "KEPT"), ("theme.ts", "cookie")}


@pytest.mark.parametrize("page", sorted(SECURITY.glob("*.md")), ids=lambda page: page.name)
def test_files_that_the_manual_names_are_there(page: Path) -> None:
    named = re.findall(
        r"`((?:apps|config|docs|platform|static|templates|tests|requirements)/[\w./-]+)`", page.read_text()
    )
    assert [one for one in named if not (ROOT / one).exists()] == []
