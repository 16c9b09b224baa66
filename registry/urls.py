"""The pages of the registry. An owner's address is the last: any other word wins over it."""

from __future__ import annotations

from django.urls import path, register_converter

from registry.services.exports import FORMATS
from registry.views import (
    account,
    aliases,
    card_form,
    catalogue,
    differences,
    downloads,
    exports,
    history,
    inspections,
    keys,
    model,
    moderation,
    organisations,
    publish,
    settings_account,
    settings_activity,
    settings_model,
    settings_organisations,
    settings_sessions,
    settings_tokens,
    site,
    trusted,
)


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
    path("moderation/", moderation.log, name="moderation"),
    path("moderation/report/", moderation.report, name="report"),
    path("moderation/<int:number>/", moderation.action, name="moderation-action"),
    path("moderation/<int:number>/appeal/", moderation.appeal, name="moderation-appeal"),
    path("moderation/<int:number>/moderation.sigstore.json", moderation.bundle),
    path("docs/", site.docs, name="docs"),
    path("docs/evidence/", site.evidence, name="docs-evidence"),
    path("docs/inspection/", inspections.rules, name="docs-inspection"),
    path("models/", catalogue.models, name="models"),
    path("keys/<fingerprint:fingerprint>/", keys.key, name="key"),
    path("keys/<fingerprint:fingerprint>/rename/", keys.rename, name="key-rename"),
    path("keys/<fingerprint:fingerprint>/key.pem", downloads.key_pem, name="key-pem"),
    path(_MODEL, model.card, name="model"),
    path(f"{_MODEL}files/", model.files, name="model-files"),
    path(f"{_MODEL}files/<str:revision>/<path:path>", downloads.file, name="model-file"),
    path(f"{_MODEL}graph/", model.graph, name="model-graph"),
    path(f"{_MODEL}api/", model.api, name="model-api"),
    path(f"{_MODEL}releases/", model.releases, name="model-releases"),
    path(f"{_MODEL}releases/<str:version>/", model.release, name="model-release"),
    *(
        path(f"{_MODEL}releases/<str:version>/{form.name}", exports.export, {"export": form.name})
        for form in FORMATS
    ),
    path(f"{_MODEL}releases/<str:version>/<str:bundle>", downloads.bundle, name="bundle"),
    path(f"{_MODEL}releases/<str:version>/withdraw/", history.withdraw, name="withdraw"),
    path(f"{_MODEL}settings/", settings_model.settings, name="model-settings"),
    path(f"{_MODEL}settings/visibility/", settings_model.visibility, name="model-visibility"),
    path(f"{_MODEL}settings/transfer/", settings_model.transfer, name="model-transfer"),
    path(f"{_MODEL}settings/delete/", settings_model.delete, name="model-delete"),
    path(f"{_MODEL}activity/", settings_activity.of_model, name="model-activity"),
    path(f"{_MODEL}access/", settings_model.access, name="model-access"),
    path(f"{_MODEL}access/withdraw/", settings_model.withdraw, name="access-withdraw"),
    path(f"{_MODEL}access/<str:person>/", settings_model.decide, name="access-decide"),
    path(f"{_MODEL}compare/", differences.compare, name="model-compare"),
    path(f"{_MODEL}aliases/<str:alias>/", aliases.alias, name="alias"),
    path(f"{_MODEL}aliases/<str:alias>/protect/", aliases.protect, name="alias-protect"),
    path(
        f"{_MODEL}aliases/<str:alias>/<int:number>/alias.sigstore.json",
        aliases.bundle,
        name="alias-bundle",
    ),
    path(f"{_MODEL}signers/", keys.model_signers, name="model-signers"),
    path(f"{_MODEL}trusted/", trusted.publishers, name="model-trusted"),
    path(
        f"{_MODEL}trusted/<int:publisher_id>/remove/", trusted.remove, name="model-trusted-remove"
    ),
    path("publish/", publish.start, name="publish"),
    path("publish/preview/", publish.preview, name="publish-preview"),
    path(_PUBLISH, publish.files, name="publish-files"),
    path(f"{_PUBLISH}alias/", aliases.sign, name="alias-sign"),
    path(f"{_PUBLISH}<str:revision>/", publish.revision, name="publish-revision"),
    path(f"{_PUBLISH}<str:revision>/inspection/", publish.inspection, name="publish-inspection"),
    path(f"{_PUBLISH}<str:revision>/appeal/", inspections.appeal, name="publish-appeal"),
    path(f"{_PUBLISH}<str:revision>/card/", publish.save_card, name="publish-card"),
    path(f"{_PUBLISH}<str:revision>/metadata/", card_form.metadata, name="publish-metadata"),
    path(f"{_PUBLISH}<str:revision>/sign/", publish.sign, name="publish-sign"),
    path("settings/keys/", account.keys, name="settings-keys"),
    path("settings/keys/import/", keys.import_key, name="import-key"),
    path("settings/keys/member/", keys.member_key, name="member-key"),
    path("settings/tokens/", settings_tokens.tokens, name="settings-tokens"),
    path("settings/tokens/<str:digest>/delete/", settings_tokens.delete_token, name="delete-token"),
    path("settings/activity/", settings_activity.own, name="settings-activity"),
    path("settings/", settings_account.index, name="settings"),
    path("settings/profile/", settings_account.profile, name="settings-profile"),
    path("settings/sessions/", settings_sessions.sessions, name="settings-sessions"),
    path("settings/sessions/end/", settings_sessions.end_other_sessions, name="end-sessions"),
    path("settings/sessions/<str:handle>/end/", settings_sessions.end_session, name="end-session"),
    path("settings/export/", settings_account.export, name="settings-export"),
    path("settings/account/", settings_account.account, name="settings-account"),
    path("settings/account/keep/", settings_account.keep, name="keep-account"),
    path("settings/organisations/", settings_organisations.index, name="organisations"),
    path(
        "settings/organisations/<str:owner>/<str:answer>/",
        settings_organisations.invitation,
        name="invitation",
    ),
    path(
        "settings/transfers/<int:transfer_id>/<str:answer>/",
        settings_organisations.transfer,
        name="transfer",
    ),
    path("orgs/<str:owner>/", organisations.show, name="organisation"),
    path("orgs/<str:owner>/title/", organisations.title, name="organisation-title"),
    path("orgs/<str:owner>/delete/", organisations.delete, name="organisation-delete"),
    path("orgs/<str:owner>/members/", organisations.invite, name="invite"),
    path("orgs/<str:owner>/members/<str:member>/", organisations.member, name="member"),
    path("me/uploads/", account.my_uploads, name="my-uploads"),
    path("me/uploads/<uuid:upload_id>/discard/", account.discard_upload, name="discard-upload"),
    path("me/models/", catalogue.my_models, name="my-models"),
    path("<str:owner>/", catalogue.owner, name="owner"),
    path("<str:owner>/<str:name>/", model.short, name="model-short"),
]
