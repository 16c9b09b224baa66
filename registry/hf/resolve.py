"""`HEAD` and `GET /{owner}/{name}/resolve/{revision}/{path}`: the files themselves.

Nothing is compressed here and no Xet header is ever sent: clients then download by plain HTTP.
An address by commit never changes; one by branch or tag is asked again each time.
"""

from __future__ import annotations

from urllib.parse import quote

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from registry.choices import Visibility
from registry.errors import UnknownRevisionError
from registry.hf import files
from registry.hf.answers import endpoint, one_line
from registry.hf.calls import Call, address, read_call
from registry.hf.repos import warn
from registry.models import Model, Revision, RevisionFile
from registry.rights import need_files
from registry.selectors import INSPECTED, file_of
from registry.services import counters, downloads, refs
from registry.views.sending import FOREVER, send


@endpoint("GET")
def resolve(request: HttpRequest, owner: str, name: str, rest: str) -> HttpResponseBase:
    """Answer a file of a revision, whole or a range of it."""
    call = read_call(request)
    model = call.model(owner, name)
    need_files(call.user, model)
    found = refs.split(model, rest, call.user)
    if not found.rest:
        raise UnknownRevisionError(f"{model.full_name} has no file without a path.")
    file = file_of(found.revision, found.rest)
    base = file.path.rpartition("/")[2]
    plain = one_line(base).replace('"', "'").replace("\\", "_")
    response = send(
        request,
        file.blob,
        etag=f'"{files.etag(file)}"',
        disposition=f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(base)}",
        public=model.visibility == Visibility.PUBLIC and found.revision.state in INSPECTED,
    )
    _describe(response, model, found.revision, file, fixed=found.name == found.revision.pk)
    _count(call, response, found.revision, file)
    return response


def _describe(
    response: HttpResponseBase, model: Model, revision: Revision, file: RevisionFile, *, fixed: bool
) -> None:
    response["X-Repo-Commit"] = revision.pk
    if not files.is_regular(file.path, file.blob.size):
        response["X-Linked-Etag"] = f'"{file.blob_id}"'
        response["X-Linked-Size"] = str(file.blob.size)
    public = model.visibility == Visibility.PUBLIC and revision.state in INSPECTED
    if response.status_code == 302:  # the address in it expires: `send` has said for how long
        response["Cache-Control"] = response["Cache-Control"] if fixed else "no-store"
    elif public and fixed:
        response["Cache-Control"] = FOREVER
    else:
        response["Cache-Control"] = "private, no-cache"
    warn(response, revision)


def _count(call: Call, response: HttpResponseBase, revision: Revision, file: RevisionFile) -> None:
    """Count a download that its client marks as one, from its first byte on."""
    request = call.request
    wanted = request.method == "GET" and request.headers.get("X-HF-Download-Counter") == "1"
    begins = response.get("Content-Range", "bytes 0-").startswith("bytes 0-")
    if wanted and begins and response.status_code in (200, 206, 302):
        downloads.count(revision.model, file.blob_id, address(request))
        counters.downloaded(revision.pk, address(request))
