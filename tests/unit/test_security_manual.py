"""What docs/security says of the code is so, and what it says is nowhere is nowhere."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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


def words(tree: ast.Module) -> Iterator[str]:
    """Every name and attribute that a module uses or imports, and every text that could be the name of something."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.alias):
            yield from (node.name, node.asname or "")
        elif isinstance(node, ast.keyword):
            yield node.arg or ""
        elif isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
            text = node.value if isinstance(node.value, str) else node.value.decode("latin-1")
            if not re.search(r"\s", text):
                yield text


# --- Cryptography ---

KEYED = ("cryptography", "hmac", "jwt", "django.core.signing", "django.utils.crypto")
# Within longer words too, as MD5PasswordHasher and hmac-sha1; the rest would be found in ordinary words.
WEAK = re.compile(r"(?i)md[245](?![0-9])|sha[-_]?1(?![0-9])|arc4|\brc4|blowfish|tripledes|3des|pkcs1v15|idea_?cipher")
WEAK_WORDS = {"AES", "ECB", "CBC", "DES", "DSA"}
# Where they are, each with its reason.
WEAK_AT = {
    ("apps/accounts/mfa/secret.py", "SHA1"),  # RFC 6238 as authenticator apps know it: inside HMAC
    ("config/settings.py", "django.contrib.auth.hashers.MD5PasswordHasher"),  # of the test suite alone
}


def weak(tree: ast.Module) -> set[str]:
    return {one for one in words(tree) if WEAK.search(one) or WEAK_WORDS & set(re.split(r"[^A-Za-z0-9]+", one))}


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


def test_what_is_weak_is_nowhere_but_where_it_does_no_harm() -> None:
    found = {(path, one) for path, tree in modules("apps", "config", "platform/attractor") for one in weak(tree)}
    assert found == WEAK_AT


@pytest.mark.parametrize(
    "source",
    [
        "import hashlib\nhashlib.md5(b'')", "import hmac, hashlib\nhmac.new(k, m, hashlib.md5)",
        "import hashlib\nhashlib.new('sha1')", "import hashlib\nhashlib.new(name='SHA-1')", "hmac.new(k, m, 'md5')",
        "from hashlib import sha1 as digest", "from hashlib import md5\nd = md5", "getattr(hashlib, 'sha1')",
        "hashes.SHA1()", "modes.ECB()", "algorithms.TripleDES(k)", "Cipher(algorithms.AES(k), modes.CBC(v))",
        "padding.PKCS1v15()", "jwt.encode(x, k, algorithm='hmac-sha1')", "hmac.digest(k, m, b'md5')",
        "PASSWORD_HASHERS = ['django.contrib.auth.hashers.MD5PasswordHasher']", "from Crypto.Cipher import ARC4",
    ],
)  # fmt: skip
def test_what_is_weak_is_seen_however_it_is_written(source: str) -> None:
    assert weak(ast.parse(source))


def test_what_is_sound_is_not_taken_for_weak() -> None:
    sound = (
        "hashlib.sha256(x); hashes.SHA512(); description = 'DESCRIPTION'; hashlib.new('sha3_256'); sha1024 = 'sha-128'"
    )
    assert weak(ast.parse(sound)) == set()


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
    services = {"database", "valkey", "storage", "email", "oauth", "webhooks", "sentry", "secrets", "web", "live"}
    sections = {key.partition(".")[0] for key, _ in leaves() if "." in key}
    assert services <= sections
    assert [one for one in sorted(services) if f"`{one}." not in text] == []
    for key in re.findall(
        r"`((?:web|database|valkey|live|webhooks|runs|quotas|security|secrets|sentry|oauth|email)\.[a-z_]+)`", text
    ):
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


PIN = re.compile(r"[A-Za-z0-9._-]+==[^\s;]+( ;.*)?")


def unpinned(text: str) -> list[str]:
    """Lines of a file of requirements that name no exact version of the index that pip is told of: other versions,
    addresses, other files, and options, which another index is."""
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("#") and not PIN.fullmatch(line)]


def elsewhere(packages: dict[str, Any]) -> list[str]:
    """Packages of a lock of npm that come from elsewhere than its registry, or whose content is not told."""
    return [
        name for name, one in packages.items()
        if name and (
            one.get("link") or not one.get("integrity", "").startswith("sha512-")
            # The registry is left to npm's own setting (`omit-lockfile-registry-resolved`): no place is named.
            or "resolved" in one
            or not re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+(?:[-+][\w.+-]+)?", one.get("version", ""))
        )
    ]  # fmt: skip


def test_every_component_is_pinned_and_comes_from_its_registry() -> None:
    files = {path.name: path.read_text("utf-8") for path in (ROOT / "requirements").glob("*.txt")}
    assert files.keys() >= {"lock.txt", "torch.txt", "bench.txt", "node.txt"}
    assert {name: found for name, text in files.items() if (found := unpinned(text))} == {}
    assert len(PIN.findall("\n".join(files.values()))) > 100
    packages = json.loads((ROOT / "static" / "src" / "package-lock.json").read_text())["packages"]
    assert len(packages) > 50
    assert elsewhere(packages) == []
    settings = (ROOT / "static" / "src" / ".npmrc").read_text("utf-8")
    assert [line for line in settings.splitlines() if "registry=" in line.replace(" ", "")] == []


@pytest.mark.parametrize(
    "line",
    ["torch>=2", "torch", "torch==2.13.0 --hash=x", "torch @ https://files.example/torch.whl", "git+https://x/y.git",
     "-r other.txt", "--index-url https://index.example/simple", "https://files.example/torch.whl", "-e ."],
)  # fmt: skip
def test_what_is_not_pinned_is_seen(line: str) -> None:
    assert unpinned(f"# a note\ndjango==5.2.1\n{line}\n") == [line]


@pytest.mark.parametrize(
    "changed",
    [{"resolved": "https://files.example/a.tgz"}, {"resolved": "git+ssh://git@host/a.git"},
     {"integrity": "sha1-x"}, {"integrity": ""},
     {"version": "git+ssh://git@host/a.git"}, {"link": True}],
)  # fmt: skip
def test_a_package_from_elsewhere_is_seen(changed: dict[str, Any]) -> None:
    sound = {"version": "1.2.3", "integrity": "sha512-x"}
    assert elsewhere({"": {}, "node_modules/a": sound}) == []
    assert elsewhere({"": {}, "node_modules/a": sound | changed}) == ["node_modules/a"]


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
