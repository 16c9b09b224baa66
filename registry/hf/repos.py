"""Accounts, repositories, refs, commits, trees: what hub clients ask, and the small changes."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.http.response import HttpResponseBase

from registry.choices import RefKind, Visibility
from registry.errors import InvalidInputError, NameTakenError, RegistryError
from registry.hf import files, lists, shapes
from registry.hf.answers import HubError, endpoint
from registry.hf.calls import (
    Call,
    flag,
    next_link,
    read_call,
    read_cursor,
    read_json,
    text,
    write_cursor,
)
from registry.models import Model, Revision
from registry.rights import need_files, need_write, sees_drafts
from registry.selectors import INSPECTED, find_owner, find_revision
from registry.services import cards, evaluations, refs, repos

TREE_PAGE, TREE_PAGE_EXPANDED, COMMITS_PAGE = 1_000, 50, 50
MAX_PATHS = 10_000


def answer(body: Any, revision: Revision | None = None, link: str = "") -> JsonResponse:
    """Return JSON; with the commit that it is about, and with the next page's address."""
    response = JsonResponse(body, safe=False)
    if revision is not None:
        response["X-Repo-Commit"] = revision.pk
        warn(response, revision)
    if link:
        response["Link"] = link
    return response


def warn(response: HttpResponseBase, revision: Revision) -> None:
    """Say in the header that clients print what is to be known of `revision`."""
    words = shapes.warning(revision)
    if words:
        response["X-HF-Warning"] = words


def visible(call: Call, model: Model) -> Revision | None:
    """Return what `main` is for the caller, None when there is nothing for them."""
    try:
        return refs.find(model, refs.MAIN, call.user).revision
    except RegistryError:
        return None


# ------------------------------------------------------------------ account


@endpoint("GET")
def whoami(request: HttpRequest) -> HttpResponse:
    """Tell whose token this is."""
    call = read_call(request)
    return answer(shapes.whoami(call.account(), call.token))


@endpoint("POST")
def validate_yaml(request: HttpRequest) -> HttpResponse:
    """Check the metadata of a card as an upload would; always JSON."""
    found = cards.validate(text(read_json(request), "content"))
    body = {
        "errors": [{"message": words} for words in found.errors],
        "warnings": [{"message": words} for words in found.warnings],
    }
    return JsonResponse(body, status=400 if found.errors else 200)


# ------------------------------------------------------------------ repositories


def check_kind(fields: dict[str, Any]) -> None:
    """Raise InvalidInputError unless a request is about a model."""
    kind = text(fields, "type", "model")
    if kind != "model":
        raise InvalidInputError(f"Here are models only, no {kind[:20]}s.", field="type")


@endpoint("POST")
def create(request: HttpRequest) -> HttpResponse:
    """Make a model; 409 with its address when it is there."""
    call = read_call(request)
    user, fields = call.account(write=True), read_json(request)
    check_kind(fields)
    name, owner = text(fields, "name"), text(fields, "organization") or None
    if owner is None and "/" in name:
        owner, _, name = name.partition("/")
    private = fields.get("private") is True
    visibility = text(fields, "visibility") or (Visibility.PRIVATE if private else "public")
    try:
        model = repos.create(user, name=name, owner=owner, visibility=visibility)
    except NameTakenError as error:
        known = f"{owner or _own_name(call)}/{name}"
        raise HubError(409, error.message, **_address(call, known)) from error
    return answer(_address(call, model.full_name))


def _own_name(call: Call) -> str:
    return str(shapes.whoami(call.account(), call.token)["name"])


def _address(call: Call, full_name: str) -> dict[str, str]:
    url = f"{call.base}/models/{full_name}"
    return {"url": url, "name": full_name, "id": full_name}


@endpoint("DELETE")
def delete(request: HttpRequest) -> HttpResponse:
    """Delete a model; its name is never given out again."""
    call = read_call(request)
    user, fields = call.account(write=True), read_json(request)
    check_kind(fields)
    name, owner = text(fields, "name"), text(fields, "organization")
    if not owner and "/" not in name:
        owner = _own_name(call)
    repos.delete(user, call.model(*halves(f"{owner}/{name}" if owner else name)))
    return answer({})


def halves(full_name: str) -> tuple[str, str]:
    """Return owner and name of `owner/name`; without a slash the name is empty."""
    owner, _, name = full_name.partition("/")
    return owner, name


@endpoint("GET")
def models(request: HttpRequest) -> HttpResponse:
    """List models."""
    call = read_call(request)
    found = lists.page(call.user, request.GET)
    link = next_link(request, cursor=found.next) if found.next else ""
    return answer(shapes.infos(found.items), link=link)


@endpoint("GET")
def info(request: HttpRequest, owner: str, name: str, revision: str = "") -> HttpResponse:
    """Tell all about a model at `main` or at a revision."""
    call = read_call(request)
    model = call.model(owner, name)
    at = refs.find(model, revision, call.user).revision if revision else visible(call, model)
    body = shapes.info(model, at, blobs=flag(request.GET, "blobs"))
    if at is not None and flag(request.GET, "securityStatus"):
        body["securityRepoStatus"] = shapes.scan(at)
    if at is not None and "evalResults" in request.GET.getlist("expand"):
        body["evalResults"] = evaluations.hub_results(at)
    return answer(body, at)


@endpoint("GET")
def auth_check(request: HttpRequest, owner: str, name: str, write: str = "") -> HttpResponse:
    """Say whether the caller may have the files of the model, or write to it."""
    call = read_call(request)
    model = call.model(owner, name)
    if write:
        need_write(call.account(write=True), model)
    else:
        need_files(call.user, model)
    return answer({})


# ------------------------------------------------------------------ refs, history


@endpoint("GET")
def list_refs(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """List branches and tags."""
    call = read_call(request)
    model = call.model(owner, name)
    body: dict[str, Any] = {
        "branches": [
            {"name": one, "ref": f"refs/heads/{one}", "targetCommit": commit}
            for one, commit in refs.branches(model, call.user)
        ],
        "tags": [
            {"name": one, "ref": f"refs/tags/{one}", "targetCommit": commit}
            for one, commit in refs.tags(model, call.user)
        ],
        "converts": [],
    }
    if flag(request.GET, "include_prs"):
        body["pullRequests"] = []
    return answer(body)


@endpoint("GET")
def commits(request: HttpRequest, owner: str, name: str, revision: str) -> HttpResponse:
    """List the commits that led to a revision, newest first."""
    call = read_call(request)
    model = call.model(owner, name)
    start = refs.find(model, revision, call.user).revision
    cursor = request.GET.get("cursor", "")
    if cursor:
        start = find_revision(model, read_cursor(cursor), call.user)
    line = refs.history(start.pk, COMMITS_PAGE + 1)
    rows = Revision.objects.select_related("author").in_bulk(line[:COMMITS_PAGE])
    writer = sees_drafts(call.user, model)
    shown = [rows[pk] for pk in line[:COMMITS_PAGE] if writer or rows[pk].state in INSPECTED]
    more = _next_known(call, line[COMMITS_PAGE:], writer=writer)
    link = next_link(request, cursor=write_cursor(more)) if more else ""
    formatted = "formatted" in request.GET.getlist("expand[]")
    return answer(shapes.commits(shown, formatted=formatted), link=link)


def _next_known(call: Call, rest: list[str], *, writer: bool) -> str:
    """Return where the next page begins for this caller; `""` at the end."""
    if not rest:
        return ""
    return rest[0] if writer else (refs.newest_passed(rest[0]) or "")


@endpoint("POST", "DELETE")
def tag(request: HttpRequest, owner: str, name: str, revision: str) -> HttpResponse:
    """Make a tag of `revision`, or delete the tag of this name."""
    call = read_call(request)
    user = call.account(write=True)
    model = call.model(owner, name)
    if request.method == "DELETE":
        refs.delete(user, model, RefKind.TAG, revision)
    else:
        fields = read_json(request)
        refs.create_tag(user, model, text(fields, "tag"), revision, text(fields, "message"))
    return answer({})


@endpoint("POST", "DELETE")
def branch(request: HttpRequest, owner: str, name: str, branch: str) -> HttpResponse:
    """Make a branch, or delete one."""
    call = read_call(request)
    user = call.account(write=True)
    model = call.model(owner, name)
    if request.method == "DELETE":
        refs.delete(user, model, RefKind.BRANCH, branch)
    else:
        start = text(read_json(request), "startingPoint") or refs.MAIN
        refs.create_branch(user, model, branch, start)
    return answer({})


# ------------------------------------------------------------------ trees


@endpoint("GET")
def tree(request: HttpRequest, owner: str, name: str, rest: str) -> HttpResponse:
    """List the files of a revision, or of a folder of it."""
    call = read_call(request)
    found = refs.split(call.model(owner, name), rest, call.user)
    recursive, expand = flag(request.GET, "recursive"), flag(request.GET, "expand")
    entries = files.level(found.revision, found.rest, recursive=recursive)
    if found.rest and not entries:
        raise HubError(404, f"There is no folder '{found.rest[:200]}'.", "EntryNotFound")
    cursor = request.GET.get("cursor", "")
    if cursor:
        after = read_cursor(cursor)
        entries = [entry for entry in entries if entry.path > after]
    size = TREE_PAGE_EXPANDED if expand else TREE_PAGE
    page = entries[:size]
    more = len(entries) > size
    link = next_link(request, cursor=write_cursor(page[-1].path)) if more else ""
    return answer(list(files.shown(page, found.revision, expand=expand)), found.revision, link)


@endpoint("POST")
def paths_info(request: HttpRequest, owner: str, name: str, revision: str) -> HttpResponse:
    """Tell about some paths, in a form or in JSON; unknown ones are left out."""
    call = read_call(request)
    found = refs.find(call.model(owner, name), revision, call.user).revision
    if request.content_type == "application/json":
        fields = read_json(request)
        asked, expand = fields.get("paths"), fields.get("expand") is True
        asked = [asked] if isinstance(asked, str) else asked
    else:
        asked, expand = request.POST.getlist("paths"), flag(request.POST, "expand")
    if not isinstance(asked, list) or not all(isinstance(path, str) for path in asked):
        raise InvalidInputError("'paths' is a list of texts.", field="paths")
    if len(asked) > MAX_PATHS:
        raise InvalidInputError(f"At most {MAX_PATHS} paths at once.", field="paths")
    entries = files.at_paths(found, [path.replace("\0", "\ufffd") for path in asked])
    return answer(list(files.shown(entries, found, expand=expand)), found)


# ------------------------------------------------------------------ what is not here, pages


@endpoint("GET", "POST", "PUT", "DELETE", "PATCH")
def other_kinds(request: HttpRequest, **_: str) -> HttpResponse:
    """Answer for datasets, spaces and kernels, and for names without an owner: not here."""
    raise HubError(404, "Here are models only, each as owner/name.", "RepoNotFound")


@endpoint("GET", "POST", "PUT", "DELETE", "PATCH")
def discussions(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Refuse discussions and pull requests in the words that clients know."""
    read_call(request).model(owner, name)
    raise HubError(403, "Discussions are disabled for this repo.")


@endpoint("GET", "POST", "PUT", "DELETE", "PATCH")
def unknown(request: HttpRequest) -> HttpResponse:
    """Answer quickly what we do not offer."""
    raise HubError(404, "This address is not offered here.")


@endpoint("GET")
def page(request: HttpRequest, owner: str, name: str, rest: str = "") -> HttpResponse:
    """Lead browsers to the page of a model, or to that of one of its revisions."""
    call = read_call(request)
    model = call.model(owner, name)
    kind, _, revision = rest.partition("/")
    target = f"/models/{model.full_name}/"
    if kind == "commit" and revision:
        target += f"files/?revision={find_revision(model, revision, call.user).pk}"
    elif kind == "tree":
        target += "files/"
    return HttpResponseRedirect(target)


@endpoint("GET")
def profile(request: HttpRequest, owner: str) -> HttpResponse:
    """Lead browsers to the page of an owner."""
    found = find_owner(owner)
    if found is None:
        raise HubError(404, "Here is no owner of this name.")
    return HttpResponseRedirect(f"/{found.name}/")
