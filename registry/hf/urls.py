"""Addresses below `/hf`; none ends in a slash, and the last pattern catches what is not offered.

Revisions and paths come percent-encoded, slashes too, and are decoded before they are here: which
part of `rest` is the revision is asked of the model's refs.
"""

from __future__ import annotations

from django.urls import re_path

from registry.hf import commits, lfs, people, repos, resolve, settings, xet

_ID = r"(?P<owner>[^/]+)/(?P<name>[^/]+)"
_API = rf"^/api/models/{_ID}"
_ACCESS = rf"{_API}/user-access-request"
_XET = r"^/xet/(?P<space>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/(?P<epoch>[0-9]{1,9})"
_ORGANISATION = r"^/api/organizations/(?P<name>[^/]+)"
_NAMED = r"(?P<revision>.+)"

urlpatterns = [
    re_path(r"^/api/whoami-v2$", repos.whoami),
    re_path(r"^/api/repos/create$", repos.create),
    re_path(r"^/api/repos/delete$", repos.delete),
    re_path(r"^/api/repos/move$", settings.move),
    re_path(r"^/api/validate-yaml$", repos.validate_yaml),
    re_path(r"^/api/settings/repositories$", people.repositories),
    re_path(rf"{_ORGANISATION}/settings/repositories$", people.repositories),
    re_path(rf"{_ORGANISATION}/overview$", people.organisation_overview),
    re_path(rf"{_ORGANISATION}/members$", people.members),
    re_path(r"^/api/users/(?P<name>[^/]+)/overview$", people.user_overview),
    re_path(r"^/api/models/?$", repos.models),
    re_path(rf"{_API}$", repos.info),
    re_path(rf"{_API}/revision/{_NAMED}$", repos.info),
    re_path(rf"{_API}/auth-check$", repos.auth_check),
    re_path(rf"{_API}/auth-check/(?P<write>write)$", repos.auth_check),
    re_path(rf"{_API}/settings$", settings.settings),
    re_path(rf"{_ACCESS}/(?P<state>pending|accepted|rejected)$", settings.access_requests),
    re_path(rf"{_ACCESS}/handle$", settings.handle_request),
    re_path(rf"{_ACCESS}/grant$", settings.grant),
    re_path(rf"{_API}/discussions(?:/.*)?$", repos.discussions),
    re_path(rf"{_API}/refs$", repos.list_refs),
    re_path(rf"{_API}/commits/{_NAMED}$", repos.commits),
    re_path(rf"{_API}/tag/{_NAMED}$", repos.tag),
    re_path(rf"{_API}/branch/(?P<branch>.+)$", repos.branch),
    re_path(rf"{_API}/tree/(?P<rest>.+)$", repos.tree),
    re_path(rf"{_API}/paths-info/{_NAMED}$", repos.paths_info),
    re_path(rf"{_API}/xet-write-token/{_NAMED}$", xet.write_token),
    re_path(rf"{_API}/preupload/{_NAMED}$", commits.preupload),
    re_path(rf"{_API}/commit/{_NAMED}$", commits.commit),
    re_path(rf"^/{_ID}\.git/info/lfs/objects/batch$", lfs.batch),
    re_path(rf"^/{_ID}\.git/info/lfs/objects/verify$", lfs.verify),
    re_path(r"^/lfs/(?:whole|part)$", lfs.put),
    re_path(r"^/lfs/complete$", lfs.complete),
    re_path(rf"{_XET}/v1/xorbs/default/(?P<name>[^/]+)$", xet.xorb),
    re_path(rf"{_XET}/v2/shards$", xet.shard),
    re_path(rf"{_XET}/v1/shards$", xet.old_shard),
    re_path(r"^/api/models/[^/]+$", repos.other_kinds),
    re_path(r"^(?:/api)?/(?:datasets|spaces|kernels)(?:/.*)?$", repos.other_kinds),
    re_path(rf"^/{_ID}/resolve/(?P<rest>.+)$", resolve.resolve),
    re_path(rf"^/models/{_ID}(?:/(?P<rest>.*))?$", repos.page),
    re_path(r"^/(?!api$|lfs$|xet$)(?P<owner>[^/]+)$", repos.profile),
    re_path(r"", repos.unknown),
]
