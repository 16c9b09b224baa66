"""The pages of the registry. An owner's address is the last: any other word wins over it."""

from __future__ import annotations

from django.urls import path, register_converter

from registry.views import account, catalogue, downloads, model, publish, site


class Fingerprint:
    """64 lower-case hex digits."""

    regex = "[0-9a-f]{64}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(Fingerprint, "fingerprint")

_MODEL = "models/<str:owner>/<str:name>/"
_PUBLISH = "publish/<str:owner>/<str:name>/"

urlpatterns = [
    path("search/", site.search, name="search"),
    path("verify/", site.verify, name="verify"),
    path("docs/", site.docs, name="docs"),
    path("models/", catalogue.models, name="models"),
    path("keys/<fingerprint:fingerprint>/", catalogue.key, name="key"),
    path("keys/<fingerprint:fingerprint>/key.pem", downloads.key_pem, name="key-pem"),
    path(_MODEL, model.card, name="model"),
    path(f"{_MODEL}files/", model.files, name="model-files"),
    path(f"{_MODEL}files/<str:revision>/<path:path>", downloads.file, name="model-file"),
    path(f"{_MODEL}graph/", model.graph, name="model-graph"),
    path(f"{_MODEL}api/", model.api, name="model-api"),
    path(f"{_MODEL}releases/", model.releases, name="model-releases"),
    path(f"{_MODEL}releases/<str:version>/", model.release, name="model-release"),
    path(f"{_MODEL}releases/<str:version>/<str:bundle>", downloads.bundle, name="bundle"),
    path("publish/", publish.start, name="publish"),
    path("publish/preview/", publish.preview, name="publish-preview"),
    path(_PUBLISH, publish.files, name="publish-files"),
    path(f"{_PUBLISH}<str:revision>/", publish.revision, name="publish-revision"),
    path(f"{_PUBLISH}<str:revision>/inspection/", publish.inspection, name="publish-inspection"),
    path(f"{_PUBLISH}<str:revision>/card/", publish.save_card, name="publish-card"),
    path(f"{_PUBLISH}<str:revision>/sign/", publish.sign, name="publish-sign"),
    path("settings/keys/", account.keys, name="settings-keys"),
    path("settings/tokens/", account.tokens, name="settings-tokens"),
    path("settings/tokens/<str:digest>/delete/", account.delete_token, name="delete-token"),
    path("me/uploads/", account.my_uploads, name="my-uploads"),
    path("me/uploads/<uuid:upload_id>/discard/", account.discard_upload, name="discard-upload"),
    path("me/models/", catalogue.my_models, name="my-models"),
    path("<str:owner>/", catalogue.owner, name="owner"),
    path("<str:owner>/<str:name>/", model.short, name="model-short"),
]
