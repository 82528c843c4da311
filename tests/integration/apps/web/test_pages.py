"""Pages as a browser without JavaScript gets them."""

import html
import json
import re
import uuid

import pytest
from django.db import OperationalError
from django.test import Client

from apps.presets.models import AcceptanceVerdict
from apps.runs.models import Run
from apps.workspaces.models import Role
from apps.workspaces.scope import scope

pytestmark = pytest.mark.django_db


def text(response) -> str:
    """What a page says, without tags."""
    content = re.sub(r"<script.*?</script>|<style.*?</style>", " ", response.content.decode(), flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", content)).split())


def pages(tenant, run) -> list[str]:
    root = f"/w/{tenant.workspace.slug}"
    return [
        f"{root}/",
        f"{root}/projects/",
        f"{root}/projects/{tenant.project.pk}/",
        f"{root}/graphs/{tenant.graph.pk}/",
        f"{root}/runs/",
        f"{root}/runs/{run.pk}/",
    ]


def test_a_member_sees_every_page_of_the_workspace(ann):
    for page in pages(ann, ann.submit()):
        assert ann.client.get(page).status_code == 200, page


def test_for_anybody_else_no_page_of_the_workspace_exists(ann, bob):
    for page in pages(ann, ann.submit()):
        assert bob.client.get(page).status_code == 404, page
        foreign = page.replace(ann.workspace.slug, bob.workspace.slug)
        if foreign.count("/") > 4:  # it names an object of the other workspace
            assert bob.client.get(foreign).status_code == 404, foreign


def test_the_anonymous_are_asked_to_sign_in_and_come_back(ann):
    for page in pages(ann, ann.submit()):
        response = Client().get(page)
        assert response.status_code == 302
        assert response.url == f"/accounts/login/?next={page}"


def test_the_first_page_is_for_the_anonymous_and_leads_others_home(ann):
    assert Client().get("/").status_code == 200
    assert ann.client.get("/").url == f"/w/{ann.workspace.slug}/"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", True),
        ("?q=CHUA+logic", True),
        ("?q=chua+spiking", False),
        ("?category=computation", True),
        ("?category=music", False),
        ("?tag=reservoir", True),
        ("?tag=none", False),
        ("?q=logic&category=music", False),
    ],
)
def test_the_gallery_finds_by_words_category_and_tag(preset, query, found):
    page = Client().get(f"/presets/{query}")
    assert (preset.title in text(page)) is found
    assert ("No preset matches" in text(page)) is not found


def test_an_empty_gallery_says_what_to_do(db):
    assert "manage.py seed_presets" in text(Client().get("/presets/"))


def verdict(preset, *, passed=True, graph_hash="sha256:now", **numbers):
    return AcceptanceVerdict.objects.create(
        preset=preset, tier="quick", passed=passed, seeds=[7, 11], numbers=numbers, code_version="0.1.0",
        graph_hash=graph_hash,
    )  # fmt: skip


def test_the_badge_says_the_verdict_and_the_page_every_number_behind_it(preset):
    url = f"/presets/{preset.pk}/"
    assert "Not yet verified" in text(Client().get(url))
    verdict(preset, gates=[{"gate": "XOR", "sites": 4711}], baseline={"linearised": {"xor": 815}})
    page = text(Client().get(url))
    assert "Acceptance passed: quick" in page
    for number in ("4711", "815", "7, 11", "0.1.0", "sha256:now"):
        assert number in page
    verdict(preset, passed=False)
    assert "Acceptance failed: quick" in text(Client().get(url))


def test_a_verdict_on_an_earlier_graph_is_no_badge(preset):
    verdict(preset, graph_hash="sha256:before")
    page = text(Client().get(f"/presets/{preset.pk}/"))
    assert "Acceptance passed" not in page
    assert "Not yet verified" in page
    assert "of an earlier graph" in page


def test_an_unknown_preset_is_404(db):
    assert Client().get("/presets/nothing/").status_code == 404


def choice(tenant) -> dict[str, str]:
    return {"project": f"{tenant.workspace.slug}/{tenant.project.pk}"}


def test_using_a_preset_makes_a_graph_in_the_chosen_project(preset, ann):
    page = ann.client.get(f"/presets/{preset.pk}/")
    assert choice(ann)["project"] in page.content.decode()
    response = ann.client.post(f"/presets/{preset.pk}/use/", choice(ann))
    assert response.status_code == 302
    graph = ann.client.get(response.url)
    assert preset.title in text(graph)
    assert (
        ann.client.get(f"/w/{ann.workspace.slug}/projects/{ann.project.pk}/").content.decode().count(response.url) == 1
    )


def test_a_preset_cannot_be_put_into_a_foreign_or_unreadable_project(preset, ann, bob):
    url = f"/presets/{preset.pk}/use/"
    for wanted in (choice(ann)["project"], f"{bob.workspace.slug}/{ann.project.pk}", "x/y", ""):
        assert bob.client.post(url, {"project": wanted}).status_code == 404, wanted
    assert Client().post(url, choice(ann)).status_code == 302
    assert bob.client.get(url).status_code == 405


def test_run_queues_a_run_and_leads_to_it(ann):
    url = f"/w/{ann.workspace.slug}/graphs/{ann.graph.pk}/run/"
    response = ann.client.post(url, {"seed": str(2**63 - 1), "ticks": "250"})
    assert response.status_code == 302
    with scope(ann.workspace.pk):
        run = Run.objects.get()
    assert (run.seed, run.ticks, run.state) == (2**63 - 1, 250, "queued")
    page = ann.client.get(response.url)
    # A JavaScript number does not hold this seed: it travels as text beside the number.
    data = json.loads(re.search(r'<script id="run-data"[^>]*>(.*?)</script>', page.content.decode(), re.S)[1])
    assert data["seed"] == str(2**63 - 1)
    assert data["run"]["graph"]["spec"]["nodes"][0]["id"] == "osc"
    assert "result" not in data["run"]


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"seed": "-1"}, "Write a whole number"),
        ({"seed": "1.5"}, "Write a whole number"),
        ({"ticks": "many"}, "Write a whole number"),
        ({"ticks": "0"}, "was not queued"),
        ({"seed": str(2**63)}, "was not queued"),
        ({"ticks": str(10**9)}, "was not queued"),
    ],
)
def test_a_run_that_cannot_be_is_refused_with_the_reason_and_what_was_written(ann, form, said):
    response = ann.client.post(f"/w/{ann.workspace.slug}/graphs/{ann.graph.pk}/run/", form)
    assert response.status_code in (422, 429)
    assert said in text(response)
    (written,) = form.values()
    assert f'value="{written}"' in response.content.decode()
    with scope(ann.workspace.pk):
        assert not Run.objects.exists()


def test_a_project_is_made_by_its_form(ann):
    url = f"/w/{ann.workspace.slug}/projects/"
    for name in ("", "   ", "x" * 161):
        refused = ann.client.post(url, {"name": name})
        assert refused.status_code == 422
        assert 'aria-invalid="true"' in refused.content.decode()
    made = ann.client.post(url, {"name": "Second"})
    assert "Second" in text(ann.client.get(made.url))
    assert "No graphs in this project" in text(ann.client.get(made.url))


def test_a_viewer_is_told_why_there_is_no_form_and_cannot_post_either(ann, member_of):
    client = Client()
    client.force_login(member_of(ann, Role.VIEWER))
    graph = f"/w/{ann.workspace.slug}/graphs/{ann.graph.pk}/"
    page = client.get(graph)
    assert "Ask an admin" in text(page)
    assert f'action="{graph}run/"' not in page.content.decode()
    assert client.post(f"{graph}run/").status_code == 403
    assert client.post(f"/w/{ann.workspace.slug}/projects/", {"name": "x"}).status_code == 403


def test_the_list_of_runs_keeps_a_state(ann):
    ann.submit(seed=12345)
    url = f"/w/{ann.workspace.slug}/runs/"
    assert "seed 12345" in text(ann.client.get(url))
    assert "seed 12345" in text(ann.client.get(f"{url}?state=queued"))
    assert "No failed runs" in text(ann.client.get(f"{url}?state=failed"))
    assert "seed 12345" in text(ann.client.get(f"{url}?state=nonsense"))


def test_marked_runs_stand_side_by_side_with_what_differs_and_an_address_to_pass_on(ann):
    runs = [ann.submit(ticks=ticks, seed=1) for ticks in (10, 20)]
    root = f"/w/{ann.workspace.slug}/runs/"
    listed = ann.client.get(root).content.decode()
    assert all(f'name="run" value="{run.pk}" form="compare"' in listed for run in runs)
    asked = {"run": [str(run.pk) for run in runs], "sort": "-ticks"}
    page = ann.client.get(f"{root}compare/", asked)
    assert page.status_code == 200
    assert [column["name"] for column in page.context["columns"]] == ["ticks"]
    assert [row["run"].ticks for row in page.context["rows"]] == [20, 10]
    assert 'aria-sort="descending"' in page.content.decode()
    again = ann.client.get(page.context["add"]).content.decode()
    assert len(re.findall(r'name="run"[^>]* checked', again)) == 2


def test_what_cannot_be_compared_leads_back_to_the_list(ann, bob):
    mine, foreign = ann.submit(ticks=10), bob.submit(ticks=10)
    address = f"/w/{ann.workspace.slug}/runs/compare/"
    assert "No runs chosen" in text(ann.client.get(address))
    assert "One run alone" in text(ann.client.get(address, {"run": str(mine.pk)}))
    for wrong in (["x", "y"], [str(uuid.uuid4()) for _ in range(101)]):
        answer = ann.client.get(address, {"run": wrong})
        assert (answer.status_code, "Choose runs" in text(answer)) == (422, True)
    assert ann.client.get(address, {"run": [str(mine.pk), str(foreign.pk)]}).status_code == 404


def test_every_form_that_writes_is_guarded_against_forgery(ann, preset):
    client = Client(enforce_csrf_checks=True)
    client.force_login(ann.user)
    for url in (
        f"/w/{ann.workspace.slug}/graphs/{ann.graph.pk}/run/",
        f"/w/{ann.workspace.slug}/projects/",
        f"/presets/{preset.pk}/use/",
        "/theme/",
    ):
        response = client.post(url, {})
        assert response.status_code == 403, url
        assert "This form has expired" in text(response)


def test_the_theme_is_kept_in_a_cookie_and_written_into_the_next_page(db):
    client = Client()
    assert "data-theme=" not in client.get("/").content.decode()
    response = client.post("/theme/", {"theme": "dark", "next": "/presets/?q=x"})
    assert response.url == "/presets/?q=x"
    assert '<html lang="en" data-theme="dark">' in client.get("/").content.decode()
    assert client.post("/theme/", {"theme": "pink"}).status_code == 400
    client.cookies["theme"] = 'x"><script>'
    assert "data-theme=" not in client.get("/").content.decode()


@pytest.mark.parametrize("elsewhere", ["https://example.org/", "//example.org/", "javascript:alert(1)", ""])
def test_the_theme_form_leads_nowhere_else(db, elsewhere):
    assert Client().post("/theme/", {"theme": "light", "next": elsewhere}).url == "/"


def test_no_page_holds_a_script_or_a_style_that_a_strict_content_policy_would_stop(ann, preset):
    found = [*pages(ann, ann.submit()), "/presets/", f"/presets/{preset.pk}/", "/accounts/email/", "/accounts/logout/"]
    for page in found:
        content = ann.client.get(page).content.decode()
        for script in re.findall(r"<script\b[^>]*>", content):
            assert "src=" in script or 'type="application/json"' in script, (page, script)
        assert not re.search(r"<style\b|\sstyle=|\son\w+=", content), page


def test_an_unknown_address_is_a_page_that_leads_on(db):
    response = Client().get("/nothing/here/")
    assert response.status_code == 404
    assert "There is nothing here" in text(response)


@pytest.mark.parametrize(("error", "status"), [(OperationalError("gone"), 503), (RuntimeError("bug"), 500)])
def test_a_fault_of_ours_is_told_apart_from_a_database_that_is_away(db, monkeypatch, error, status):
    def fail(request):
        raise error

    monkeypatch.setattr("apps.web.views.landing.render", lambda *_: fail(None))
    client = Client(raise_request_exception=False)
    response = client.get("/")
    assert response.status_code == status
    assert ("Retry-After" in response) is (status == 503)
    assert "bug" not in text(response)
    assert "gone" not in text(response)
