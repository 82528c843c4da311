"""Passkeys as the second step: adding, signing in, proving, removing; and ways past them, each tried."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from authenticators import PASSWORD, Clock, Person, secret_on, whose
from cryptography.hazmat.primitives.asymmetric import ec
from django.contrib.auth import SESSION_KEY
from django.core import mail
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_otp import DEVICE_ID_SESSION_KEY
from hypothesis import given
from hypothesis import strategies as st
from soft_passkeys import FLAG, ORIGIN, PRESENT, SoftPasskey, add, asked, browser

from apps.accounts import deletion
from apps.accounts.mfa import ceremony, challenges, patience
from apps.accounts.mfa.relying_party import RelyingParty
from apps.accounts.models import AccountEvent, CodeFailures, Passkey, PasskeyChallenge, Session, TotpDevice, User
from apps.accounts.services import register
from apps.live.login import Caller, users_of
from apps.workspaces.members import add_member
from apps.workspaces.models import Role
from apps.workspaces.services import set_require_mfa

pytestmark = pytest.mark.django_db

SECOND = "/account/code/"
PROVE = "/account/prove/"
SECURITY = "/account/security/"


def half_in(user: User, client: Client | None = None) -> Client:
    client = client or browser()
    answer = client.post(reverse("account_login"), {"login": user.email, "password": PASSWORD})
    assert (answer.status_code, answer.url) == (302, SECOND)
    return client


def step(client: Client, text: str) -> Any:
    return client.post(SECOND, {"passkey": text})


def signed_in(user: User, passkey: SoftPasskey) -> Client:
    client = half_in(user)
    assert step(client, passkey.signed(asked(client, "sign-in"))).status_code == 302
    assert whose(client) == user.email
    return client


def actions(user: User) -> list[str]:
    return list(AccountEvent.objects.filter(user=user).order_by("at").values_list("action", flat=True))


@pytest.fixture
def ada(db: None) -> User:
    return register("ada@example.org", PASSWORD, "Ada")


@pytest.fixture
def key(ada: User) -> SoftPasskey:
    """Ada's only second factor."""
    client, made = browser(), SoftPasskey()
    client.post(reverse("account_login"), {"login": ada.email, "password": PASSWORD})
    assert add(client, made, "Blue key").status_code == 200
    ada.refresh_from_db()
    return made


# --- Adding ---


def test_a_first_passkey_switches_two_step_sign_in_on(ada: User, django_capture_on_commit_callbacks: Any) -> None:
    client, other, passkey = browser(), browser(), SoftPasskey()
    for one in (client, other):
        one.post(reverse("account_login"), {"login": ada.email, "password": PASSWORD})
    key_before = client.session.session_key
    with django_capture_on_commit_callbacks(execute=True):
        page = add(client, passkey, " Blue  key ").content.decode()
    codes = re.findall(r"<code>([A-Z2-7-]{34})</code>", page)
    assert len(set(codes)) == 10
    row = Passkey.objects.get()
    assert (row.name, bytes(row.credential_id), row.rp_id, row.synced) == ("Blue key", passkey.id, "localhost", False)
    # This browser goes on under another key, the other has to show it.
    assert (whose(client), whose(other)) == (ada.email, None)
    assert client.session.session_key != key_before
    assert [one.subject for one in mail.outbox] == ["Two-step sign-in is on"]
    assert "passkey “Blue key”" in mail.outbox[0].body
    assert actions(ada)[-1] == "mfa.on"
    signed_in(ada, passkey)
    # A recovery code opens too.
    again = half_in(ada)
    assert again.post(SECOND, {"code": codes[0]}).status_code == 302
    assert whose(again) == ada.email


def test_several_passkeys_and_an_app_stand_beside_each_other(
    ada: User, key: SoftPasskey, clock: Clock, django_capture_on_commit_callbacks: Any
) -> None:
    client, second = signed_in(ada, key), SoftPasskey(flags=PRESENT | FLAG.BE | FLAG.BS, count=-1)
    with django_capture_on_commit_callbacks(execute=True):
        assert add(client, second, "Phone").status_code == 302
    assert mail.outbox[-1].subject == "A passkey was added"
    assert [one["id"] for one in asked(client, "add")["excludeCredentials"]]
    assert Passkey.objects.get(name="Phone").synced
    shown = client.post("/account/two-step/", follow=True).content.decode()
    app = Person(ada, secret_on(shown), [], clock)
    done = client.post("/account/two-step/", {"code": app.code()})
    assert done.status_code == 302, "no recovery codes: those there are still open"
    assert actions(ada)[-1] == "mfa.app.add"
    for one in (key, second, second):
        signed_in(ada, one)
    clock.next_step()
    by_code = half_in(ada)
    assert by_code.post(SECOND, {"code": app.code()}).status_code == 302
    page = client.get(SECURITY).content.decode()
    for text in ("Blue key", "Phone", "Authenticator app", "synced"):
        assert text in page


def test_what_is_asked_of_a_browser(ada: User, key: SoftPasskey) -> None:
    client = signed_in(ada, key)
    options = asked(client, "add")
    assert options["attestation"] == "none"
    assert options["authenticatorSelection"]["userVerification"] == "required"
    assert options["rp"] == {"name": "Attractor", "id": "localhost"}
    assert [one["id"] for one in options["excludeCredentials"]] == [
        json.loads(key.signed(asked(client, "prove")))["id"]
    ]
    assert ada.email not in options["user"]["id"]
    assert asked(client, "prove")["challenge"] != asked(client, "prove")["challenge"]


@pytest.mark.parametrize(
    "bent",
    [
        {"origin": "http://localhost:81"}, {"origin": "https://localhost"}, {"origin": "http://evil.localhost"},
        {"rp_id": "evil.example"}, {"kind": "webauthn.get"}, {"framed": True},
    ],
)  # fmt: skip
def test_a_passkey_of_another_page_is_not_kept(ada: User, bent: dict[str, Any]) -> None:
    client = browser()
    client.post(reverse("account_login"), {"login": ada.email, "password": PASSWORD})
    refused = add(client, SoftPasskey(), **{"made": "elsewhere", **bent})
    assert refused.status_code == 422
    assert "no passkey for this site" in refused.content.decode()
    assert not Passkey.objects.exists()
    ada.refresh_from_db()
    assert ada.mfa_since is None


@pytest.mark.parametrize("flags", [FLAG.UP, FLAG.UV, FLAG(0)])
def test_who_is_not_verified_adds_nothing_and_is_not_let_in(ada: User, key: SoftPasskey, flags: FLAG) -> None:
    client = signed_in(ada, key)
    assert add(client, SoftPasskey(flags=flags)).status_code == 422
    key.flags = flags
    waiting = half_in(ada)
    assert step(waiting, key.signed(asked(waiting, "sign-in"))).status_code == 422
    assert whose(waiting) is None


def test_one_passkey_is_never_that_of_two_people(ada: User, key: SoftPasskey) -> None:
    register("mallory@example.org", PASSWORD)
    client = browser()
    client.post(reverse("account_login"), {"login": "mallory@example.org", "password": PASSWORD})
    same = SoftPasskey(id=key.id)
    refused = add(client, same)
    assert refused.status_code == 422
    assert "in use already" in refused.content.decode()
    assert Passkey.objects.get().user_id == ada.pk
    signed_in(ada, key)


@pytest.mark.parametrize("name", ["", "  ", "x" * 65, "a\x00b", "a\u202eb"])
def test_a_name_that_cannot_be(ada: User, key: SoftPasskey, name: str) -> None:
    client = signed_in(ada, key)
    assert add(client, SoftPasskey(), name).status_code == 422
    page = f"/account/passkeys/{Passkey.objects.get().pk}/"
    assert client.post(page, {"name": name}).status_code == 422
    assert Passkey.objects.get().name == "Blue key"


def test_adding_needs_a_fresh_proof(ada: User, key: SoftPasskey) -> None:
    client = signed_in(ada, key)
    text = SoftPasskey().created(asked(client, "add"))
    long_ago(client)
    pk = Passkey.objects.get().pk
    for path in ("new/", f"{pk}/", f"{pk}/remove/"):
        answer = client.post(f"/account/passkeys/{path}", {"name": "of mallory", "passkey": text})
        assert (answer.status_code, answer.url.split("?")[0]) == (302, PROVE)
    assert client.post("/account/two-step/app/remove/").url.startswith(PROVE)
    assert client.post("/account/passkeys/options/add/").status_code == 403
    assert list(Passkey.objects.values_list("name", flat=True)) == ["Blue key"]


# --- Signing in and proving ---


def long_ago(client: Client) -> None:
    session = client.session
    session["proof_at"] -= 10 * 60 + 1
    session.save()


def test_the_page_offers_what_the_person_has(ada: User, key: SoftPasskey, enrolled: Any) -> None:
    page = half_in(ada).get(SECOND).content.decode()
    assert 'data-options="/account/passkeys/options/sign-in/"' in page
    assert "needs JavaScript" in page
    assert "authenticator app" not in page
    other = enrolled()
    page = other.half_in(browser()).get(SECOND).content.decode()
    assert "data-passkey" not in page
    assert "authenticator app" in page


def test_step_up_by_passkey(ada: User, key: SoftPasskey) -> None:
    client = signed_in(ada, key)
    long_ago(client)
    back = "/account/passkeys/new/"
    assert client.get(back).url.startswith(PROVE)
    assert 'data-options="/account/passkeys/options/prove/"' in client.get(PROVE).content.decode()
    assert client.post(PROVE, {"password": PASSWORD, "next": back}).status_code == 422
    assert client.post(PROVE, {"passkey": "", "next": back}).status_code == 422
    text = key.signed(asked(client, "prove"))
    assert client.post(PROVE, {"passkey": text, "next": back}).url == back
    assert client.get(back).status_code == 200
    long_ago(client)
    assert client.post(PROVE, {"passkey": text, "next": back}).status_code == 422, "it was used"


def test_an_operator_enters_the_admin_by_passkey(db: None) -> None:
    root = register("root@example.org", PASSWORD, is_staff=True, is_superuser=True)
    client, passkey = browser(), SoftPasskey()
    client.post(reverse("account_login"), {"login": root.email, "password": PASSWORD})
    assert client.get("/admin/").status_code == 302
    assert add(client, passkey).status_code == 200
    root.refresh_from_db()
    half = half_in(root)
    assert half.get("/admin/").status_code == 302
    inside = signed_in(root, passkey)
    assert inside.get("/admin/").status_code == 302, "its own door asks once more"
    door = "/admin/login/"
    assert 'data-options="/account/passkeys/options/prove/"' in inside.get(door).content.decode()
    assert inside.post(door, {"passkey": ""}).status_code == 422
    text = passkey.signed(asked(inside, "prove"))
    assert inside.post(door, {"passkey": text}).url == "/admin/"
    assert inside.get("/admin/").status_code == 200
    assert inside.post(door, {"passkey": text}).status_code == 422, "it was used"


def test_sockets_know_sessions_of_passkeys(ada: User, key: SoftPasskey) -> None:
    client = signed_in(ada, key)
    caller = Caller(session_key=client.session.session_key)
    assert users_of([caller]) == {caller: ada}
    Passkey.objects.all().delete()
    assert users_of([caller]) == {caller: None}


# --- Ways past it ---


def test_1_an_answer_twice(ada: User, key: SoftPasskey) -> None:
    key.count = -1  # does not count, so that only the challenge can tell
    client = half_in(ada)
    text = key.signed(asked(client, "sign-in"))
    assert step(client, text).status_code == 302
    client.post(reverse("account_logout"))
    for again in (half_in(ada), half_in(ada, client)):
        assert step(again, text).status_code == 422
        asked(again, "sign-in")
        assert step(again, text).status_code == 422
        assert whose(again) is None


@pytest.mark.django_db(transaction=True)
def test_2_an_answer_many_times_at_once(ada: User, key: SoftPasskey, at_once: Any) -> None:
    key.count = -1
    client = half_in(ada)
    text = key.signed(asked(client, "sign-in"))
    cookies = client.cookies

    def once(_: int) -> int:
        mine = browser()
        mine.cookies = cookies
        return int(step(mine, text).status_code)

    assert sorted(at_once(once, 6)).count(302) >= 1
    # Whoever came late was led to the login, or told that it was used: one event says that one was let in by it.
    assert Passkey.objects.get().last_used_at is not None
    assert actions(ada).count("sign_in") == 2, "with that of the fixture"


def test_3_a_passkey_of_somebody_else(ada: User, key: SoftPasskey) -> None:
    mallory, theirs = register("mallory@example.org", PASSWORD), SoftPasskey()
    client = browser()
    client.post(reverse("account_login"), {"login": mallory.email, "password": PASSWORD})
    assert add(client, theirs).status_code == 200
    victim = half_in(ada)
    for bent in ({"handle": b""}, {"handle": ada.pk.bytes}, {"handle": mallory.pk.bytes}):
        assert step(victim, theirs.signed(asked(victim, "sign-in"), **bent)).status_code == 422
    # Nor under the name of the victim's, with the own key; nor the victim's with the own name.
    posing = SoftPasskey(id=key.id, key=theirs.key, count=50)
    assert step(victim, posing.signed(asked(victim, "sign-in"))).status_code == 422
    assert step(victim, key.signed(asked(victim, "sign-in"), handle=mallory.pk.bytes)).status_code == 422
    assert whose(victim) is None


@pytest.mark.parametrize(
    "bent",
    [
        {"origin": "http://localhost:81"}, {"origin": "https://localhost"}, {"origin": "https://localhost.evil.example"},
        {"origin": "http://LOCALHOST"}, {"rp_id": "evil.example"}, {"kind": "webauthn.create"}, {"framed": True},
        {"key": ec.generate_private_key(ec.SECP256R1())}, {"challenge": b"another" * 5}, {"challenge": b""},
    ],
)  # fmt: skip
def test_4_what_was_signed_for_another_page_or_by_another_key(
    ada: User, key: SoftPasskey, bent: dict[str, Any]
) -> None:
    client = half_in(ada)
    assert step(client, key.signed(asked(client, "sign-in"), **{"made": "elsewhere", **bent})).status_code == 422
    assert whose(client) is None
    assert step(client, key.signed(asked(client, "sign-in"))).status_code == 302, "and the right one is"


def test_5_a_challenge_of_another_session_person_or_purpose(ada: User, key: SoftPasskey) -> None:
    mine, other = half_in(ada), half_in(ada)
    asked(other, "sign-in")
    assert step(other, key.signed(asked(mine, "sign-in"))).status_code == 422
    assert whose(other) is None
    whole = signed_in(ada, key)
    for_proof = key.signed(asked(whole, "prove"))
    assert step(mine, for_proof).status_code == 422
    # In one session: drawn for adding, shown as a proof.
    long_ago(whole)
    assert whole.post("/account/passkeys/options/add/").status_code == 403
    drawn = challenges.draw(ada, challenges.Purpose.SIGN_IN, whole.session.session_key)
    options = {"challenge": "", "rpId": "localhost", "userVerification": "required"}
    text = key.signed(options, challenge=drawn)
    assert whole.post(PROVE, {"passkey": text}).status_code == 422
    mallory = register("mallory@example.org", PASSWORD)
    drawn = challenges.draw(mallory, challenges.Purpose.PROVE, whole.session.session_key)
    assert whole.post(PROVE, {"passkey": key.signed(options, challenge=drawn)}).status_code == 422


def test_6_a_challenge_that_is_too_old(ada: User, key: SoftPasskey) -> None:
    client = half_in(ada)
    text = key.signed(asked(client, "sign-in"))
    PasskeyChallenge.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    late = step(client, text)
    assert (late.status_code, "too long" in late.content.decode()) == (422, True)
    assert whose(client) is None
    half_in(ada).post("/account/passkeys/options/sign-in/")
    assert PasskeyChallenge.objects.count() == 1, "old ones are thrown away"


@pytest.mark.parametrize("back", [0, 3])
def test_7_a_copy_that_counts_backwards_is_refused_and_told(
    ada: User, key: SoftPasskey, back: int, django_capture_on_commit_callbacks: Any
) -> None:
    key.count = 7
    signed_in(ada, key)
    copy = SoftPasskey(id=key.id, key=key.key, handle=key.handle, count=key.count - 1 - back)
    client = half_in(ada)
    mail.outbox.clear()
    with django_capture_on_commit_callbacks(execute=True):
        refused = step(client, copy.signed(asked(client, "sign-in")))
    assert (refused.status_code, "counted backwards" in refused.content.decode()) == (422, True)
    assert whose(client) is None
    assert [one.subject for one in mail.outbox] == ["A passkey of yours was refused"]
    assert actions(ada)[-1] == "mfa.passkey.copied"
    assert Passkey.objects.get().sign_count == 8
    # One who does not have the key alarms nobody.
    mail.outbox.clear()
    forged = SoftPasskey(id=key.id, handle=key.handle)
    with django_capture_on_commit_callbacks(execute=True):
        assert step(client, forged.signed(asked(client, "sign-in"))).status_code == 422
    assert mail.outbox == []
    # Nor does one that stops to count.
    key.count = -1
    assert step(client, key.signed(asked(client, "sign-in"))).status_code == 422


def test_8_skipping_the_step(ada: User, key: SoftPasskey) -> None:
    client = half_in(ada)
    for address in ("/", SECURITY, "/account/passkeys/new/", PROVE, "/admin/"):
        client.post(address, {"passkey": "{}", "name": "x"})
        client.get(address)
        assert whose(client) is None
    for purpose in ("add", "prove"):
        assert client.post(f"/account/passkeys/options/{purpose}/").status_code == 403
    assert browser().post("/account/passkeys/options/sign-in/").status_code == 403
    assert client.post("/account/passkeys/options/other/").status_code == 404
    assert client.post(SECOND, {"passkey": ""}).status_code == 422
    forced = browser()
    forced.force_login(ada)
    assert SESSION_KEY in forced.session
    assert whose(forced) is None


@pytest.mark.parametrize("device", ["foreign", "unconfirmed", "gone", "app of the same number"])
def test_9_a_session_bound_to_what_is_not_the_person_s(ada: User, key: SoftPasskey, device: str) -> None:
    client = signed_in(ada, key)
    row = Passkey.objects.get()
    if device == "foreign":
        Passkey.objects.update(user=register("mallory@example.org", PASSWORD))
    elif device == "unconfirmed":
        Passkey.objects.update(confirmed=False)
    elif device == "gone":
        Passkey.objects.all().delete()
    else:
        session = client.session
        session[DEVICE_ID_SESSION_KEY] = f"accounts.totpdevice/{row.pk}"
        session.save()
    assert whose(client) is None


def test_10_an_authenticator_that_changes_its_word_on_being_copied(ada: User, key: SoftPasskey) -> None:
    key.flags = PRESENT | FLAG.BE
    client = half_in(ada)
    assert step(client, key.signed(asked(client, "sign-in"))).status_code == 422


NAMES = ("id", "rawId", "type", "response", "clientDataJSON", "signature", "userHandle")
NONSENSE = st.recursive(
    st.none() | st.text() | st.integers(), lambda one: st.lists(one) | st.dictionaries(st.sampled_from(NAMES), one)
)


@given(text=st.text() | NONSENSE.map(json.dumps))
def test_11_nonsense_is_refused_and_breaks_nothing(text: str) -> None:
    party = RelyingParty("localhost", ORIGIN)
    person = User(email="ada@example.org")
    assert ceremony.parsed(person, text) is None
    assert ceremony.registered(person, text, party, b"x" * 64) is None


def test_12_bytes_that_were_bent_on_the_way(ada: User, key: SoftPasskey) -> None:
    client = half_in(ada)
    party, row = RelyingParty("localhost", ORIGIN), Passkey.objects.get()
    options = asked(client, "sign-in")
    drawn = bytes(PasskeyChallenge.objects.get().value)
    whole = json.loads(key.signed(options))
    good = ceremony.parsed(ada, json.dumps(whole))
    assert good is not None
    assert ceremony.verified(ada, good, row, party, drawn) is not None
    for part in ("clientDataJSON", "authenticatorData", "signature"):
        value = whole["response"][part]
        for place in range(0, len(value) - 2, 3):
            other = value[:place] + ("A" if value[place] != "A" else "B") + value[place + 1 :]
            for bent in (other, value[:place]):
                text = json.dumps({**whole, "response": {**whole["response"], part: bent}})
                credential = ceremony.parsed(ada, text)
                signed = credential and ceremony.verified(ada, credential, row, party, drawn)
                assert signed is None, (part, place)


def test_wrong_passkeys_wait_longer_and_longer(ada: User, key: SoftPasskey, monkeypatch: pytest.MonkeyPatch) -> None:
    client, stranger = half_in(ada), SoftPasskey(id=key.id)
    for _ in range(patience.RULES[CodeFailures.Kind.PASSKEY].free + 1):
        assert step(client, stranger.signed(asked(client, "sign-in"))).status_code == 422
    waits = step(client, key.signed(asked(client, "sign-in")))
    assert (waits.status_code, "Too many wrong tries" in waits.content.decode()) == (422, True)
    assert "mfa.guessed" in actions(ada)
    now = timezone.now() + patience.LONGEST
    monkeypatch.setattr(patience.timezone, "now", lambda: now)
    assert step(client, key.signed(asked(client, "sign-in"))).status_code == 302


# --- Where it works ---


@pytest.mark.parametrize(
    ("host", "secure", "said", "link"),
    [
        ("127.0.0.1", False, "127.0.0.1 is a number", 'href="http://localhost/account/passkeys/new/"'),
        ("127.0.0.1:8136", False, "127.0.0.1 is a number", 'href="http://localhost:8136/account/passkeys/new/"'),
        ("[::1]:8136", False, "::1 is a number", 'href="http://localhost:8136/account/passkeys/new/"'),
        ("192.0.2.7", True, "192.0.2.7 is a number", ""),
        ("attractor.example", False, "encrypted pages", ""),
    ],
)
def test_an_address_at_which_browsers_use_none(
    ada: User, settings: Any, host: str, secure: bool, said: str, link: str
) -> None:
    settings.ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]", "192.0.2.7", "attractor.example"]
    client = Client(headers={"host": host})
    client.post(reverse("account_login"), {"login": ada.email, "password": PASSWORD}, secure=secure)
    page = client.get("/account/passkeys/new/", secure=secure).content.decode()
    assert said in page
    assert "data-passkey" not in page
    assert link in page
    assert ("http://localhost" in page) is bool(link)
    told = client.post("/account/passkeys/options/add/", secure=secure)
    assert told.status_code == 409
    assert said in told.json()["problem"]
    assert client.post("/account/passkeys/new/", {"name": "x", "passkey": "{}"}, secure=secure).status_code == 422


def test_signing_in_where_the_passkey_does_not_work_says_so(ada: User, key: SoftPasskey, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["localhost", "127.0.0.1", "other.localhost"]
    page = half_in(ada, Client(SERVER_NAME="127.0.0.1")).get(SECOND).content.decode()
    assert 'href="http://localhost/accounts/login/"' in page
    assert "data-passkey" not in page
    elsewhere = half_in(ada, Client(SERVER_NAME="other.localhost"))
    assert "made for localhost" in elsewhere.get(SECOND).content.decode()
    assert elsewhere.post("/account/passkeys/options/sign-in/").status_code == 409


def test_the_site_s_own_address_is_that_of_the_settings(ada: User, settings: Any) -> None:
    web = settings.ATTRACTOR.web.model_copy(update={"public_url": "https://attractor.example:8443"})
    settings.ATTRACTOR = settings.ATTRACTOR.model_copy(update={"web": web})
    settings.ALLOWED_HOSTS = ["attractor.example", "localhost"]
    client = browser()
    client.post(reverse("account_login"), {"login": ada.email, "password": PASSWORD})
    assert (
        "https://attractor.example:8443/account/passkeys/new/" in client.get("/account/passkeys/new/").content.decode()
    )
    client = Client(headers={"host": "attractor.example:8443"})
    client.post(reverse("account_login"), {"login": ada.email, "password": PASSWORD}, secure=True)
    options = client.post("/account/passkeys/options/add/", secure=True).json()
    assert options["rp"]["id"] == "attractor.example"
    for origin, status in (("https://attractor.example", 422), ("https://attractor.example:8443", 200)):
        options = client.post("/account/passkeys/options/add/", secure=True).json()
        form = {"name": "x", "passkey": SoftPasskey().created(options, origin=origin)}
        assert client.post("/account/passkeys/new/", form, secure=True).status_code == status


# --- Naming, removing, leaving ---


def test_a_passkey_gets_another_name_and_nobody_else_s_does(ada: User, key: SoftPasskey, bob: Any) -> None:
    page = f"/account/passkeys/{Passkey.objects.get().pk}/"
    assert signed_in(ada, key).post(page, {"name": "Red <key>"}).status_code == 302
    assert "Red &lt;key&gt;" in signed_in(ada, key).get(page).content.decode()
    assert actions(ada).count("mfa.passkey.rename") == 1
    assert [bob.client.get(page).status_code, bob.client.post(page, {"name": "x"}).status_code] == [404, 404]
    assert bob.client.post(f"{page}remove/").status_code == 404
    assert Passkey.objects.get().name == "Red <key>"


def test_a_removed_passkey_opens_nothing_and_its_sessions_end(
    ada: User, key: SoftPasskey, django_capture_on_commit_callbacks: Any
) -> None:
    lost = Passkey.objects.get()
    thief, mine, second = signed_in(ada, key), signed_in(ada, key), SoftPasskey()
    assert add(mine, second, "Second").status_code == 302
    other = signed_in(ada, second)
    mail.outbox.clear()
    with django_capture_on_commit_callbacks(execute=True):
        assert mine.post(f"/account/passkeys/{lost.pk}/remove/").status_code == 302
    assert [one.subject for one in mail.outbox] == ["A passkey was removed"]
    # The session in which it was done was begun with it, and goes on by the other.
    assert [whose(one) for one in (thief, mine, other)] == [None, ada.email, ada.email]
    assert not Session.objects.filter(session_key=thief.session.session_key, user=ada).exists()
    waiting = half_in(ada)
    assert step(waiting, key.signed(asked(waiting, "sign-in"), made="elsewhere")).status_code == 422
    assert step(waiting, second.signed(asked(waiting, "sign-in"))).status_code == 302


def test_the_last_factor_is_not_removed_but_switched_off(ada: User, key: SoftPasskey) -> None:
    client, row = signed_in(ada, key), Passkey.objects.get()
    refused = client.post(f"/account/passkeys/{row.pk}/remove/", follow=True).content.decode()
    assert "It is your only second step" in refused
    assert Passkey.objects.exists()
    assert client.post("/account/two-step/off/").status_code == 302
    assert not Passkey.objects.exists()
    ada.refresh_from_db()
    assert ada.mfa_since is None
    assert whose(client) == ada.email


@pytest.mark.django_db(transaction=True)
def test_of_two_who_remove_the_last_two_at_once_one_is_refused(ada: User, key: SoftPasskey, at_once: Any) -> None:
    client, second = signed_in(ada, key), SoftPasskey()
    add(client, second)
    clients = [signed_in(ada, key), signed_in(ada, second)]
    ids = list(Passkey.objects.order_by("-pk").values_list("pk", flat=True))
    at_once(lambda number: clients[number].post(f"/account/passkeys/{ids[number]}/remove/").status_code, 2)
    assert Passkey.objects.count() == 1


def test_an_app_is_removed_where_a_passkey_is_left(enrolled: Any) -> None:
    eve = enrolled()
    client = eve.half_in(browser())
    assert client.post(SECOND, {"code": eve.code()}).status_code == 302
    refused = client.post("/account/two-step/app/remove/", follow=True).content.decode()
    assert "It is your only second step" in refused
    passkey = SoftPasskey()
    assert add(client, passkey).status_code == 302
    assert client.post("/account/two-step/app/remove/").status_code == 302
    assert not TotpDevice.objects.exists()
    assert whose(client) == eve.user.email
    waiting = half_in(eve.user)
    eve.clock.next_step()
    assert waiting.post(SECOND, {"code": eve.code()}).status_code == 422
    assert step(waiting, passkey.signed(asked(waiting, "sign-in"))).status_code == 302


def test_a_workspace_that_asks_for_two_steps_is_content_with_a_passkey(ada: User, key: SoftPasskey, ann: Any) -> None:
    add_member(ann.user, ann.workspace, ada, Role.OWNER)
    set_require_mfa(ada, ann.workspace, True)
    client = signed_in(ada, key)
    home = f"/w/{ann.workspace.slug}/"
    assert client.get(home).status_code == 200
    assert f"{ann.workspace.name} can be entered with it only" in client.get(SECURITY).content.decode().replace(
        "&#x27;", "'"
    )
    row = Passkey.objects.get()
    client.post(f"/account/passkeys/{row.pk}/remove/")
    assert client.get(home).status_code == 200, "the last one cannot be removed"
    client.post("/account/two-step/off/")
    assert client.get(home).url.startswith("/account/two-step/")
    page = client.get(client.get(home).url).content.decode()
    assert f"/account/passkeys/new/?next={home.replace('/', '%2F')}" in page


def test_an_operator_lets_in_who_has_lost_the_passkey(ada: User, key: SoftPasskey) -> None:
    call_command("switch_off_second_factor", ada.email, "--reason", "has lost it")
    client = browser()
    client.post(reverse("account_login"), {"login": ada.email, "password": PASSWORD})
    assert whose(client) == ada.email
    assert not Passkey.objects.exists()


def test_the_export_has_passkeys_and_the_end_takes_them(ada: User, key: SoftPasskey) -> None:
    client = signed_in(ada, key)
    data = json.loads(b"".join(client.post("/account/export/").streaming_content))
    (exported,) = data["accounts.passkey"]
    assert (exported["name"], exported["credential_id"]) == ("Blue key", key.id.hex())
    asked(client, "prove")
    assert PasskeyChallenge.objects.exists()
    deletion.delete_account(ada)
    assert not Passkey.objects.exists()
    assert not PasskeyChallenge.objects.exists()
