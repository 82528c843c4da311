"""How something went that was done by a button: said on the page that comes next."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest

from apps.ops.refusal import Refusal


def done(request: HttpRequest, act: Callable[[], Any], told: str) -> bool:
    """Do it and say so, or say why it is refused; whether it was done. What a role does not allow is raised on."""
    try:
        act()
    except Refusal as refusal:
        messages.error(request, " ".join(f"{fault.message} {fault.mend}" for fault in refusal.faults))
        return False
    messages.success(request, told)
    return True


def errors_of(refusal: Refusal) -> dict[str, str]:
    """What is wrong with a form, by the place that each fault names."""
    found: dict[str, str] = {}
    for fault in refusal.faults:
        found[fault.place] = " ".join(filter(None, (found.get(fault.place), fault.message, fault.mend)))
    return found
