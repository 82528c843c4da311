"""Which server and key count, and how they are kept."""

import stat
from pathlib import Path

import pytest

from attractor.client import NotConfigured, login
from attractor.client.login import Login

HERE = "http://localhost:8000"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in (login.URL, login.KEY, login.ALLOW_HTTP):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_a_kept_login_is_readable_by_its_owner_alone(folder: Path) -> None:
    path = login.store(Login(HERE, "atk_1"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert login.find() == Login(HERE, "atk_1")
    assert [one.name for one in path.parent.iterdir()] == ["login.json"]
    path.chmod(0o644)
    with pytest.raises(NotConfigured, match="chmod 600"):
        login.find()


def test_what_is_given_goes_before_the_environment_and_this_before_what_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    login.store(Login(HERE, "atk_kept"))
    monkeypatch.setenv(login.KEY, "atk_environment")
    assert login.find().key == "atk_environment"
    assert login.find(key="atk_given").key == "atk_given"
    monkeypatch.setenv(login.URL, "https://example.org/base/")
    assert login.find() == Login("https://example.org/base", "atk_environment")


def test_a_kept_key_goes_to_its_own_server_only() -> None:
    login.store(Login(HERE, "atk_kept"))
    with pytest.raises(NotConfigured, match=r"no key for https://example\.org"):
        login.find("https://example.org")


def test_forgetting(folder: Path) -> None:
    assert login.forget() is None
    login.store(Login("https://a.example", "atk_a"))
    login.store(Login(HERE, "atk_here"))
    assert login.forget() == HERE
    assert login.find() == Login("https://a.example", "atk_a")
    assert login.forget("https://a.example") == "https://a.example"
    with pytest.raises(NotConfigured, match="attractor login"):
        login.find()


@pytest.mark.parametrize(
    "url", ["", "example.org", "ftp://example.org", "https://", "https://user:word@example.org", "https://a/?x=1",
            "https://a:99999999", "https://[::1"],
)  # fmt: skip
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(NotConfigured):
        login.address(url)


def test_a_key_is_not_sent_in_the_open(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotConfigured, match="not encrypted"):
        login.find("http://example.org", "atk_x")
    monkeypatch.setenv(login.ALLOW_HTTP, "1")
    assert login.find("http://EXAMPLE.org/", "atk_x").url == "http://example.org"


@pytest.mark.parametrize("key", ["a b", "a\nb", "ä", "a\r\nX: y"])
def test_what_is_no_key_is_refused(key: str) -> None:
    with pytest.raises(NotConfigured, match="characters"):
        login.find(HERE, key)


def test_a_damaged_file_is_named(folder: Path) -> None:
    path = login.store(Login(HERE, "atk_1"))
    path.write_text("{")
    path.chmod(0o600)
    with pytest.raises(NotConfigured, match="damaged"):
        login.find()


def test_a_key_is_in_no_text_of_a_login() -> None:
    assert "atk_1" not in repr(Login(HERE, "atk_1"))
