"""The trained networks that are shipped."""

from __future__ import annotations

from typing import Any, cast

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from apps.accounts.models import User
from apps.console.page import Table, page
from apps.console.rights import Right, require


@require_safe
def networks(request: HttpRequest) -> HttpResponse:
    """Every version with what its card says, and whether the file is the one that the card names."""
    require(cast(User, request.user), Right.LOOK)
    # Not at the top: the registry brings torch.
    from attractor.errors import MissingWeights
    from models.card import file_hash
    from models.registry import ZOO, read_card

    rows: list[tuple[Any, ...]] = []
    tables = []
    for reference, entry in ZOO.items():
        try:
            card = read_card(entry)
        except MissingWeights as missing:
            rows.append((reference, str(missing), None, None, None, None))
            continue
        path = entry.weights()
        whole = path.is_file() and file_hash(path) == card.weights.sha256
        rows.append(
            (
                reference, card.summary, card.weights.sha256, "yes" if whole else "NO: it is missing or another",
                f"{card.weights.parameters:,}", "yes" if card.passed else "NO",
            )
        )  # fmt: skip
        facts = [
            ("Data", f"{card.dataset.name} ({card.dataset.data}, {card.dataset.licence})"),
            ("Held-out split", card.split.hash),
            ("Code of the training", card.training.code_version),
            ("Code of the evaluation", card.evaluation.code_version),
            *((f"Target: {one.name}", str(one)) for one in card.targets),
            *(
                (f"Metric: {name}", f"{one.value:.4f} ({one.ci95[0]:.4f} to {one.ci95[1]:.4f}, {one.n:,} cases)")
                for name, one in card.metrics.items()
            ),
            *(("Limit", one) for one in card.limits),
        ]
        tables.append(Table(reference, ("What", "The card says"), facts))
    columns = (
        "Version",
        "What it is",
        "SHA-256 of the weights",
        "The file is that one",
        "Parameters",
        "Reaches targets",
    )
    return page(request, "Model versions", tables=(Table("Versions", columns, rows), *tables))
