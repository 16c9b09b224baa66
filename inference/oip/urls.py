"""Addresses below `/v2`; none ends in a slash, which would cost a POST its body.

NAME is `owner/name` or `owner--name`; what is no name of a model is for the registry to say. The
last pattern catches everything, so that no answer here is HTML.
"""

from __future__ import annotations

from django.urls import re_path

from inference.oip import infer, views

MODEL = r"^/models/(?P<name>[^/]+(?:/[^/]+)?)(?:/versions/(?P<version>[^/]+))?"

urlpatterns = [
    re_path(r"^/?$", views.server),
    re_path(r"^/health/live$", views.live),
    re_path(r"^/health/ready$", views.ready),
    re_path(r"^/models$", views.models),
    re_path(r"^/repository/index$", views.index),
    re_path(r"^/models/stats$", views.not_offered),
    re_path(rf"{MODEL}/infer$", infer.infer),
    re_path(rf"{MODEL}/ready$", views.model_ready),
    re_path(rf"{MODEL}/(?P<what>config|stats|generate|generate_stream)$", views.not_offered),
    re_path(rf"{MODEL}/trace/setting$", views.not_offered),
    re_path(rf"{MODEL}$", views.metadata),
    re_path(r"^/repository/models/.+/(?:load|unload)$", views.not_offered),
    re_path(r"^/(?:system|cuda)sharedmemory(?:/.*)?$", views.not_offered),
    re_path(r"^/(?:trace/setting|logging)$", views.not_offered),
    re_path(r"", views.unknown),
]
