"""What every page of the console is made of: facts, tables, a search, and things to do that each ask for a reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from apps.accounts import proof
from apps.console.log import MOST_REASON
from apps.console.looking import PAGE
from apps.console.rights import Right, may, require
from apps.ops.refusal import Refusal


@dataclass(frozen=True, slots=True)
class Link:
    """A cell that leads somewhere."""

    text: str
    to: str


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a heading; the first cell of each names it."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    empty: str = "There are none."


class ReasonForm(forms.Form):
    """What every act asks for."""

    reason = forms.CharField(
        max_length=MOST_REASON, widget=forms.Textarea(attrs={"rows": 2}),
        help_text="For those who read the log; in some cases it is told to those whom it concerns.",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Act:
    """Something that can be done on a page.

    Attributes:
        name: stable, sent with its form.
        title: of its form and button.
        text: what it does, for who is about to.
        right: it is offered to whom has it; the service asks again.
        do: called with what the form says; gives what to tell when it is done, or an answer of its own.
        proof: whether it must be proven anew that it is the operator.
        initial: what the form begins with.
    """

    name: str
    title: str
    text: str
    right: Right
    do: Callable[..., str | HttpResponse]
    form: type[forms.Form] = ReasonForm
    proof: bool = False
    initial: dict[str, Any] = field(default_factory=dict)


def page(
    request: HttpRequest,
    title: str,
    *,
    facts: Sequence[tuple[str, Any]] = (),
    tables: Sequence[Table] = (),
    acts: Sequence[Act] = (),
    search: forms.Form | None = None,
    links: Sequence[Link] = (),
    above: Sequence[Link] = (),
    older: str = "",
    lead: str = "",
) -> HttpResponse:
    """The page; a POST does the act that it names, and then leads back here.

    Args:
        above: pages above this one.
        older: query of the next page of a list.
    """
    person: Any = request.user
    offered = [act for act in acts if may(person, act.right)]
    bound: dict[str, forms.Form] = {}
    if request.method == "POST":
        act = next((act for act in acts if act.name == request.POST.get("act")), None)
        if act is None:
            return HttpResponse(
                "There is no such thing to do here.", status=400, content_type="text/plain; charset=utf-8"
            )
        require(person, act.right)
        if act.proof and not proof.is_fresh(request):
            return proof.ask(request)
        form = act.form(request.POST, prefix=act.name)
        bound[act.name] = form
        if form.is_valid():
            try:
                done = act.do(**form.cleaned_data)
            except Refusal as refusal:
                for fault in refusal.faults:
                    place = fault.place if fault.place in form.fields else None
                    form.add_error(place, f"{fault.message} {fault.mend}")
            else:
                if isinstance(done, HttpResponse):
                    return done
                messages.success(request, done)
                return redirect(request.get_full_path())
    context = {
        **admin.site.each_context(request), "title": title, "facts": facts, "tables": tables, "search": search,
        "links": links, "above": above, "older": older, "lead": lead,
        "acts": [
            {"act": act, "form": bound.get(act.name) or act.form(prefix=act.name, initial=act.initial)}
            for act in offered
        ],
    }  # fmt: skip
    return render(request, "console/page.html", context, status=422 if bound else 200)


class Search(forms.Form):
    """What narrows a list, and how far one has turned its pages."""

    skip = forms.IntegerField(required=False, min_value=0, max_value=1_000_000, widget=forms.HiddenInput())

    def values(self) -> dict[str, Any]:
        """What was asked for; what cannot be understood asks for nothing and is marked in the form."""
        self.is_valid()
        found = {name: self.cleaned_data.get(name) for name in self.fields}
        found["skip"] = found["skip"] or 0
        return found

    def older(self, rows: Sequence[Any]) -> str:
        """The query of the page after this one; empty when this one was not full."""
        if len(rows) < PAGE:
            return ""
        asked = {name: str(self.data[name]) for name in self.fields if name != "skip" and self.data.get(name)}
        return urlencode({**asked, "skip": (self.values()["skip"] or 0) + PAGE})
