from __future__ import annotations

from django.urls import path

from registry.api import keys, models, releases, uploads

MODEL = "models/<str:owner>/<str:name>"

urlpatterns = [
    path("uploads", uploads.Uploads.as_view()),
    path("uploads/<uuid:upload_id>", uploads.Upload.as_view()),
    path("uploads/<uuid:upload_id>/parts/<int:number>", uploads.Part.as_view()),
    path("uploads/<uuid:upload_id>/complete", uploads.Completion.as_view()),
    path("models", models.Models.as_view()),
    path(MODEL, models.Model.as_view()),
    path(f"{MODEL}/revisions", models.Revisions.as_view()),
    path(f"{MODEL}/revisions/<str:revision>", models.Revision.as_view()),
    path(f"{MODEL}/revisions/<str:revision>/signing", models.Signing.as_view()),
    path(f"{MODEL}/releases", releases.Releases.as_view()),
    path(f"{MODEL}/releases/<str:version>", releases.Release.as_view()),
    path(f"{MODEL}/releases/<str:version>/yank", releases.Yank.as_view()),
    path(f"{MODEL}/releases/<str:version>/model.sig", releases.Signature.as_view()),
    path("keys", keys.Keys.as_view()),
    path("keys/<str:fingerprint>", keys.Key.as_view()),
    path("keys/<str:fingerprint>/revocation", keys.Revocation.as_view()),
    path("keys/<str:fingerprint>/backup", keys.Backup.as_view()),
]
