"""Taking one's data along, and leaving for good."""

import tempfile

from django.contrib import messages
from django.contrib.auth.models import AnonymousUser
from django.http import FileResponse, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts import deletion, export
from apps.accounts.models import UserManager
from apps.accounts.notices import Notice, tell
from apps.accounts.proof import proof_required
from apps.web.views.request import SignedInRequest

IN_MEMORY = 2**22
"""A larger export waits in a temporary file, bytes."""


@never_cache
@require_POST
@proof_required
def export_data(request: SignedInRequest) -> HttpResponseBase:
    """Everything that is kept about the person, as a JSON file."""
    # Whole before its first byte is sent: what fails halfway is an error, and no file that looks complete.
    file = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 the response closes it
    for piece in export.pieces(request.user):
        file.write(piece.encode())
    file.seek(0)
    tell(request.user, Notice.EXPORTED)
    return FileResponse(file, as_attachment=True, filename="attractor-account.json", content_type="application/json")


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@proof_required
def delete_account(request: SignedInRequest) -> HttpResponse:
    """Says what goes and what is in the way. POST with one's own address deletes the account."""
    faults, problem = deletion.obstacles(request.user), ""
    if request.method == "POST":
        if UserManager.normalize_email(request.POST.get("email", "")) != request.user.email:
            problem = "This is not the address of your account."
        else:
            try:
                deletion.delete_account(request.user)
            except deletion.StillNeeded as refusal:
                faults = list(refusal.faults)
            else:
                # Django's logout would note that somebody signed out who is no more.
                request.session.flush()
                request.user = AnonymousUser()  # type: ignore[assignment]
                messages.success(request, "Your account is deleted.")
                return redirect("web:landing")
    refused = request.method == "POST"
    context = {"faults": faults, "problem": problem}
    return render(request, "web/account/delete.html", context, status=422 if refused else 200)
