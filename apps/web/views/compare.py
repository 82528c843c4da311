"""Runs side by side."""

from dataclasses import asdict
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe
from rest_framework.serializers import ValidationError

from apps.runs.comparisons import FEWEST, MOST, compare, value_of
from apps.runs.comparisons_api import ordered, page_of
from apps.runs.overlays import recorded_ports
from apps.web.views.request import WorkspaceRequest

PAGE_SIZE = 25


@require_safe
def compare_runs(request: WorkspaceRequest, slug: str) -> HttpResponse:
    """2 to 100 runs, `run` once for each: what differs, what came out, and curves over each other.

    The address says everything, so that it can be passed on.
    """
    asked = request.GET
    texts = list(dict.fromkeys(asked.getlist("run")))
    context: dict[str, Any] = {
        "workspace": request.workspace, "chosen": texts, "fewest": FEWEST, "most": MOST, "problem": "",
        "add": f"{reverse('web:runs', args=[slug])}?{urlencode([('run', text) for text in texts[:MOST]])}",
    }  # fmt: skip
    try:
        run_ids = [UUID(text) for text in texts]
    except ValueError:
        context["problem"] = "The address names something that is no run. Choose the runs again."
    else:
        if len(run_ids) > MOST:
            context["problem"] = f"These are {len(run_ids)} runs; {MOST} can be compared at once. Choose fewer."
    if context["problem"] or len(texts) < FEWEST:
        return render(request, "web/compare.html", context, status=422 if context["problem"] else 200)
    found = compare(run_ids)
    sort = asked.get("sort", "")
    try:
        page, cursor = page_of(ordered(found, sort), asked.get("cursor", ""), PAGE_SIZE)
    except ValidationError:
        # An address that is older than what the runs have now.
        sort, (page, cursor) = "", page_of(list(found.rows), "", PAGE_SIZE)
    columns = [*found.differing, *found.metrics]
    chosen = [("run", str(one)) for one in run_ids]
    asked_runs = f"runs={','.join(str(one) for one in run_ids)}"
    context |= {
        "comparison": found,
        "columns": [_column(name, sort, chosen) for name in columns],
        "rows": [
            {
                "run": row.run,
                "cells": [value_of(row, name) for name in columns],
                "without": urlencode([pair for pair in chosen if pair[1] != str(row.run.pk)]),
            }
            for row in page
        ],
        "shared": [(name, value_of(found.rows[0], name)) for name in found.common],
        "first": urlencode([*chosen, ("sort", sort)]) if asked.get("cursor") else "",
        "next": urlencode([*chosen, ("sort", sort), ("cursor", cursor)]) if cursor else "",
        "compare_data": {
            "curves": found.curves,
            "url": f"{reverse('api-runs-curves', args=[slug])}?{asked_runs}",
            "recorded": [asdict(one) for one in recorded_ports(run_ids)],
            "series_url": f"{reverse('api-runs-series', args=[slug])}?{asked_runs}",
            "runs": [
                {"id": str(row.run.pk), "label": f"{row.run.graph_version.graph.name}, seed {row.run.seed}"}
                for row in found.rows
            ],
        },
    }  # fmt: skip
    return render(request, "web/compare.html", context)


def _column(name: str, sort: str, chosen: list[tuple[str, str]]) -> dict[str, str]:
    """A column's head: a link that sorts by it, and turns the order around when it does already."""
    order = {name: "ascending", f"-{name}": "descending"}.get(sort, "none")
    return {
        "name": name,
        "order": order,
        "query": urlencode([*chosen, ("sort", f"-{name}" if order == "ascending" else name)]),
    }
