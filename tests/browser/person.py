"""What every person does in the browser before anything else."""

import re
import uuid
from typing import Any

from playwright.sync_api import Page, expect


def sign_up(page: Page, url: str) -> None:
    """Make an account and land in its workspace."""
    page.goto(url)
    page.get_by_role("link", name="Create an account").click()
    page.get_by_label("Email").fill(f"{uuid.uuid4().hex[:12]}@example.org")
    page.get_by_label("Password", exact=True).fill("a long enough secret 7")
    page.get_by_label("Password (again)").fill("a long enough secret 7")
    page.get_by_role("button", name="Create the account").click()
    expect(page).to_have_url(re.compile(r"/w/[\w-]+/$"))


class Workspace:
    """A new person's workspace, by its pages and its API."""

    def __init__(self, page: Page, url: str) -> None:
        sign_up(page, url)
        self.page, self.home = page, page.url
        self.api = page.url.replace("/w/", "/api/v1/workspaces/")

    def get(self, path: str) -> Any:
        answer = self.page.request.get(path if path.startswith("http") else self.api + path)
        assert answer.ok, answer.text()
        return answer.json()

    def graph(self, name: str, spec: dict[str, Any]) -> str:
        """Put a graph into the first project; the address of its page."""
        csrf = self.page.locator("[name=csrfmiddlewaretoken]").first.get_attribute("value")
        made = self.page.request.post(
            f"{self.api}graphs/",
            data={"project": self.get("projects/")["results"][0]["id"], "name": name, "spec": spec},
            headers={"X-CSRFToken": str(csrf), "Referer": self.home},
        )
        assert made.status == 201, made.text()
        return f"{self.home}graphs/{made.json()['id']}/"
