"""Signing in by other sites: a real OpenID Connect server (oidc-provider-mock), which also plays Google, and a server
that answers as GitHub's documentation says."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount, SocialToken
from allauth.socialaccount.providers.github.views import GitHubOAuth2Adapter
from authenticators import PASSWORD, whose
from django.core import mail
from django.test import Client
from django.urls import reverse
from oidc_provider_mock import User as There
from oidc_provider_mock import run_server_in_thread

from apps.accounts.models import AccountEvent, User
from apps.accounts.services import register
from apps.workspaces.selectors import workspaces_of

pytestmark = pytest.mark.django_db

ADA = {"email": "Ada@Example.org", "email_verified": True, "name": "Ada Lovelace"}


@pytest.fixture(scope="module")
def oidc() -> Iterator[str]:
    """Address of a server that knows Ada, one whose address it has not verified, and one without any."""
    people = [
        There(sub="ada", claims=ADA),
        There(sub="eve", claims={**ADA, "email_verified": False}),
        There(sub="text", claims={**ADA, "email_verified": "true"}),
        There(sub="nobody", claims={"name": "No Address"}),
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")
        with run_server_in_thread(user_claims=people, require_nonce=True) as server:
            yield f"http://localhost:{server.server_port}"


class FakeGithub(BaseHTTPRequestHandler):
    """`/login/oauth/authorize`, `/login/oauth/access_token`, `/api/v3/user`, `/api/v3/user/emails`; PKCE is checked."""

    emails: list[dict[str, Any]]
    begun: dict[str, str]

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: value for name, (value,) in parse_qs(parts.query).items()}
        if parts.path == "/login/oauth/authorize":
            assert query["code_challenge_method"] == "S256"
            self.begun["code"] = query["code_challenge"]
            self.send_response(302)
            self.send_header(
                "Location", f"{query['redirect_uri']}?{urlencode({'code': 'code', 'state': query['state']})}"
            )
            self.end_headers()
        elif self.headers["Authorization"] != "token gho_x":
            self._say({"message": "Bad credentials"}, 401)
        elif parts.path == "/api/v3/user":
            self._say({"id": 7, "login": "ada", "name": "Ada Lovelace", "email": None})
        else:
            self._say(self.emails)

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"][0].encode()).digest()).decode()
        if form["code"] == ["code"] and challenge.rstrip("=") == self.begun.pop("code", None):
            self._say({"access_token": "gho_x", "token_type": "bearer", "scope": "user:email"})
        else:
            self._say({"error": "bad_verification_code"})

    def _say(self, body: Any, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[FakeGithub]]:
    handler = type("Handler", (FakeGithub,), {"begun": {}, "emails": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    # allauth reads the address when it is imported; `config.settings` gives it there.
    for name, path in (("access_token_url", "/login/oauth/access_token"), ("authorize_url", "/login/oauth/authorize"),
                       ("profile_url", "/api/v3/user"), ("emails_url", "/api/v3/user/emails")):  # fmt: skip
        monkeypatch.setattr(GitHubOAuth2Adapter, name, url + path)
    yield handler
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def configured(settings: Any, oidc: str) -> None:
    from config.other_sites import oidc_app

    settings.SOCIALACCOUNT_PROVIDERS = {
        "openid_connect": {
            "APPS": [oidc_app(name, name.title(), oidc, "attractor", "secret") for name in ("google", "campus")]
        },
        "github": {"APPS": [{"client_id": "x", "secret": "y"}], "OAUTH_PKCE_ENABLED": True},
    }


def begin(client: Client, site: str = "campus", process: str = "login") -> str:
    """Press the button; the address that the browser is sent to."""
    path = reverse("github_login") if site == "github" else reverse("openid_connect_login", args=[site])
    answer = client.post(f"{path}?process={process}")
    assert answer.status_code == 302, answer.content
    return str(answer.url)


def there(address: str, sub: str = "ada") -> str:
    """Say who one is at the OpenID Connect server; the path by which the browser comes back."""
    answer = httpx.post(address, data={"sub": sub})
    assert answer.status_code == 302, answer.text
    parts = urlsplit(answer.headers["location"])
    assert parts.netloc == "testserver"
    return f"{parts.path}?{parts.query}"


def come(client: Client, site: str = "campus", sub: str = "ada", process: str = "login") -> Any:
    return client.get(there(begin(client, site, process), sub))


def with_other(address: str, **params: str) -> str:
    parts = urlsplit(address)
    query = {name: value for name, (value,) in parse_qs(parts.query).items()} | params
    return parts._replace(query=urlencode(query)).geturl()


@pytest.mark.parametrize("site", ["campus", "google"])
def test_who_is_new_gets_an_account_with_a_workspace(site: str) -> None:
    client = Client()
    come(client, site)
    assert whose(client) == "ada@example.org"
    user = User.objects.get()
    assert (user.name, user.has_usable_password()) == ("Ada Lovelace", False)
    assert len(workspaces_of(user)) == 1
    assert list(EmailAddress.objects.values_list("email", "verified", "primary")) == [("ada@example.org", True, True)]
    assert SocialAccount.objects.get().provider == site
    assert not SocialToken.objects.exists()
    again = Client()
    come(again, site)
    assert whose(again) == "ada@example.org"
    assert User.objects.count() == 1


def test_the_request_has_state_nonce_and_pkce(oidc: str) -> None:
    address = begin(Client())
    query = {name: value for name, (value,) in parse_qs(urlsplit(address).query).items()}
    assert address.startswith(f"{oidc}/oauth2/authorize?")
    assert query["response_type"] == "code"
    assert query["code_challenge_method"] == "S256"
    assert min(len(query[name]) for name in ("state", "nonce", "code_challenge")) >= 16
    assert set(query["scope"].split()) == {"openid", "profile", "email"}


def test_the_address_does_not_say_what_is_asked_of_the_server() -> None:
    path = reverse("openid_connect_login", args=["campus"])
    asked = Client().post(f"{path}?process=login&scope=admin&auth_params=nonce%3Dmine%26redirect_uri%3Dhttps%3A%2F%2Fx")
    query = parse_qs(urlsplit(asked.url).query)
    assert query["nonce"] != ["mine"]
    assert "admin" not in query["scope"][0]
    assert query["redirect_uri"] == ["http://testserver/accounts/oidc/campus/login/callback/"]


STRANGE = (
    "another state", "no state", "another browser", "another nonce", "a code of mine", "no code",
    "another server's answer", "another site's callback",
)  # fmt: skip


@pytest.mark.parametrize("how", STRANGE)
def test_what_does_not_belong_to_this_login_opens_nothing(how: str) -> None:
    client = Client()
    address = begin(client)
    match how:
        case "another nonce":
            back = there(with_other(address, nonce="0" * 43))
        case _:
            back = there(address)
    match how:
        case "another state":
            back = with_other(back, state="0" * 16)
        case "no state":
            back = with_other(back, state="")
        case "another browser":
            client = Client()
        case "a code of mine":
            back = with_other(back, code="0" * 20)
        case "no code":
            back = with_other(back, code="").replace("code=&", "")
        case "another server's answer":
            back = with_other(back, iss="https://evil.example.org")
        case "another site's callback":
            back = back.replace("/campus/", "/google/")
    answer = client.get(back)
    assert answer.status_code == 401, how
    assert whose(client) is None
    assert not User.objects.exists()


def test_an_answer_is_taken_once() -> None:
    client = Client()
    back = there(begin(client))
    client.get(back)
    client.post(reverse("account_logout"))
    assert client.get(back).status_code == 401
    assert whose(client) is None


def test_a_server_that_is_another_than_it_was_named(settings: Any, oidc: str) -> None:
    from config.other_sites import oidc_app

    # By this address the same server answers, and calls itself otherwise.
    named = oidc.replace("localhost", "127.0.0.1") + "/.well-known/openid-configuration"
    settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": [oidc_app("campus", "Campus", named, "a", "b")]}}
    answer = Client().post(reverse("openid_connect_login", args=["campus"]) + "?process=login")
    assert answer.status_code == 401


def test_a_server_that_is_away(settings: Any) -> None:
    from config.other_sites import oidc_app

    away = oidc_app("campus", "Campus", "http://127.0.0.1:1", "a", "b")
    settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": [away]}}
    answer = Client().post(reverse("openid_connect_login", args=["campus"]) + "?process=login")
    assert answer.status_code == 401
    assert b"That did not work" in answer.content


@pytest.mark.parametrize("sub", ["eve", "text", "nobody"])
@pytest.mark.parametrize("known", [True, False])
def test_an_address_that_was_not_verified_opens_nothing(sub: str, known: bool) -> None:
    """Also none that is free: whoever it belongs to would find somebody else in it. Known or not, the answer is one."""
    if known:
        register("ada@example.org", PASSWORD)
    client = Client()
    answer = come(client, sub=sub)
    assert (answer.status_code, answer.url) == (302, reverse("account_login"))
    assert whose(client) is None
    assert not SocialAccount.objects.exists()
    assert User.objects.count() == known


@pytest.mark.parametrize("second", ["user", "address"])
def test_an_address_with_an_account_is_not_linked_in_silence(second: str) -> None:
    user = register("ada@example.org" if second == "user" else "grace@example.org", PASSWORD)
    EmailAddress.objects.create(user=user, email="ada@example.org", verified=True)
    client = Client()
    answer = come(client)
    assert answer.url.startswith(f"{reverse('account_login')}?next=")
    assert whose(client) is None
    assert not SocialAccount.objects.exists()
    assert User.objects.count() == 1


def test_a_site_is_linked_by_who_is_signed_in_and_has_proven_it(django_capture_on_commit_callbacks: Any) -> None:
    user = register("grace@example.org", PASSWORD)
    client = Client()
    come(client, process="connect")
    assert not SocialAccount.objects.exists(), "nobody was signed in"
    client.force_login(user)
    session = client.session
    session["proof_at"] = 0
    session.save()
    assert come(client, process="connect").url.startswith(reverse("web:prove"))
    assert not SocialAccount.objects.exists(), "nothing was proven"
    assert client.post(reverse("web:prove"), {"password": PASSWORD}).status_code == 302
    mail.outbox.clear()
    with django_capture_on_commit_callbacks(execute=True):
        come(client, process="connect")
    assert SocialAccount.objects.get().user == user
    assert [one.subject for one in mail.outbox] == ["A new way to sign in"]
    assert "provider.link" in AccountEvent.objects.values_list("action", flat=True)
    other = Client()
    come(other)
    assert whose(other) == "grace@example.org"
    # The address there is another one, and was not taken over.
    assert User.objects.count() == 1


def test_a_site_that_belongs_to_somebody_else_is_not_linked() -> None:
    come(Client())
    mallory = register("mallory@example.org", PASSWORD)
    client = Client()
    client.force_login(mallory)
    come(client, process="connect")
    assert SocialAccount.objects.get().user.email == "ada@example.org"
    assert whose(client) == "mallory@example.org"


def test_the_second_factor_is_asked_for_all_the_same(enrolled: Any) -> None:
    eve = enrolled()
    client = eve.signed_in()
    come(client, process="connect")
    assert SocialAccount.objects.get().user == eve.user
    fresh = Client()
    answer = come(fresh)
    assert answer.url == reverse("web:second_factor")
    assert whose(fresh) is None
    eve.clock.next_step()
    fresh.post(reverse("web:second_factor"), {"code": eve.code()})
    assert whose(fresh) == eve.user.email


def test_the_last_way_in_is_not_taken_away() -> None:
    client = Client()
    come(client)
    account = SocialAccount.objects.get()
    assert client.post(reverse("socialaccount_connections"), {"account": account.pk}).status_code == 200
    assert SocialAccount.objects.exists()
    user = User.objects.get()
    user.set_password(PASSWORD)
    user.save()
    client.force_login(user)
    client.post(reverse("socialaccount_connections"), {"account": account.pk})
    assert not SocialAccount.objects.exists()
    assert "provider.unlink" in AccountEvent.objects.values_list("action", flat=True)


def test_closed_sign_up_is_closed_this_way_too(settings: Any) -> None:
    accounts = settings.ATTRACTOR.accounts.model_copy(update={"open_signup": False})
    settings.ATTRACTOR = settings.ATTRACTOR.model_copy(update={"accounts": accounts})
    come(Client())
    assert not User.objects.exists()


def through_github(client: Client, process: str = "login") -> Any:
    answer = httpx.get(begin(client, "github", process))
    parts = urlsplit(answer.headers["location"])
    return client.get(f"{parts.path}?{parts.query}")


def test_github(github: type[FakeGithub]) -> None:
    github.emails = [
        {"email": "old@example.org", "primary": False, "verified": True},
        {"email": "ada@example.org", "primary": True, "verified": True},
        {"email": "new@example.org", "primary": False, "verified": False},
    ]
    client = Client()
    through_github(client)
    assert whose(client) == "ada@example.org"
    assert SocialAccount.objects.get().uid == "7"
    assert EmailAddress.objects.count() == 1


@pytest.mark.parametrize("emails", [[], [{"email": "ada@example.org", "primary": True, "verified": False}]])
def test_github_without_a_verified_address(github: type[FakeGithub], emails: list[Any]) -> None:
    github.emails = emails
    client = Client()
    through_github(client)
    assert whose(client) is None
    assert not User.objects.exists()


def test_github_with_one_of_the_addresses_known(github: type[FakeGithub]) -> None:
    register("old@example.org", PASSWORD)
    github.emails = [
        {"email": "ada@example.org", "primary": True, "verified": True},
        {"email": "old@example.org", "primary": False, "verified": True},
    ]
    client = Client()
    through_github(client)
    assert whose(client) is None
    assert User.objects.count() == 1


def test_a_forged_state_for_github(github: type[FakeGithub]) -> None:
    github.emails = [{"email": "ada@example.org", "primary": True, "verified": True}]
    client = Client()
    begin(client, "github")
    assert client.get(reverse("github_callback"), {"code": "code", "state": "0" * 16}).status_code == 401
    assert not User.objects.exists()


def test_buttons_are_there_for_what_is_configured(settings: Any) -> None:
    page = Client().get(reverse("account_login")).content.decode()
    assert [name for name in ("Google", "Campus", "GitHub") if f"Continue with {name}" in page] == [
        "Google", "Campus", "GitHub",
    ]  # fmt: skip
    assert "Continue with Google" in Client().get(reverse("account_signup")).content.decode()
    settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": []}, "github": {"APPS": []}}
    page = Client().get(reverse("account_login")).content.decode()
    assert "Continue with" not in page
    for path in (reverse("github_login"), reverse("openid_connect_login", args=["google"])):
        assert Client(raise_request_exception=False).post(f"{path}?process=login").status_code == 404, path


def test_a_link_to_another_site_begins_no_session() -> None:
    """Somebody else's page may send a browser here; without a press of the button nothing begins."""
    client = Client()
    for path in (reverse("openid_connect_login", args=["campus"]), reverse("github_login")):
        answer = client.get(f"{path}?process=login")
        assert (answer.status_code, b'method="post"' in answer.content) == (200, True)
    assert whose(client) is None


def test_tokens_of_another_site_are_not_kept() -> None:
    from allauth.socialaccount.models import SocialToken

    client = Client()
    come(client)
    assert whose(client) == "ada@example.org"
    assert not SocialToken.objects.exists()
    assert "access_token" not in str(dict(client.session))
