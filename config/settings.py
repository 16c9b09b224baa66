"""All settings, in one file. `docs/reference/settings.md` says what each one means.

Everything that changes between a laptop and a fleet comes from the environment through
`config.env`; everything else is a constant here.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import django_stubs_ext
from csp.constants import NONE, SELF

from config import env
from config.embedded import Postgres, Redis, run_dir
from config.headers import add_headers
from config.logs import FORMATS, PLAIN, logging_config
from config.openapi import options as openapi
from config.secret import secret_key

django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent

# ------------------------------------------------------------------ where things are

DATA = Path(env.text("DATA", "var")).resolve()
RUN_DIR = run_dir(DATA)
KEYS_DIR = DATA / "keys"
PORT = env.integer("PORT", 8000)
if not 1 <= PORT <= 65535:
    raise env.SettingError(f"PORT is a number from 1 to 65535, not {PORT}")
DEBUG = env.boolean("DEBUG", False)
SECRET_KEY = env.text("SECRET_KEY") or secret_key(KEYS_DIR / "django.secret")
SITE_URL = env.text("SITE_URL", f"http://127.0.0.1:{PORT}").rstrip("/")
_SITE = urlsplit(SITE_URL)
_HTTPS = _SITE.scheme == "https"
if _SITE.scheme not in ("http", "https") or not _SITE.hostname:
    raise env.SettingError(f"SITE_URL is an http or https address, not {SITE_URL!r}")
# The embedded servers have no passwords and no TLS: `manage.py up` refuses them for other sites.
SITE_IS_LOCAL = _SITE.hostname in ("127.0.0.1", "localhost", "::1")
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", ("127.0.0.1", "localhost", "[::1]", _SITE.hostname))
CSRF_FAILURE_VIEW = "config.error_pages.csrf_failure"
# Behind a proxy that ends TLS, forms come from an origin that no request by itself shows.
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS", (SITE_URL,))

# ------------------------------------------------------------------ the ledger

LEDGER_ORIGIN = env.text("LEDGER_ORIGIN", "localhost")
# The host of this address must be the origin: stock Sigstore clients compare the two.
LEDGER_URL = env.text("LEDGER_URL", f"http://{LEDGER_ORIGIN}:{PORT}/log")
LEDGER_KEY = Path(env.text("LEDGER_KEY", str(KEYS_DIR / "log.pem")))
LEDGER_DIR = DATA / "log"
# Empty: the folder LEDGER_DIR. Else s3://bucket/prefix; boto3 finds the credentials by itself.
LEDGER_STORAGE = env.text("LEDGER_STORAGE")
LEDGER_S3_ENDPOINT = env.text("LEDGER_S3_ENDPOINT")
LEDGER_S3_REGION = env.text("LEDGER_S3_REGION", "us-east-1")
LEDGER_BATCH = 256
LEDGER_INTERVAL_MS = 250
# Strangers' witnesses are asked at most this often; one on this machine, for every checkpoint.
WITNESS_INTERVAL_S = env.integer("WITNESS_INTERVAL_S", 10)
# What one key, or one person, may hand in through the open interfaces in a minute.
LEDGER_KEY_RATE = env.integer("LEDGER_KEY_RATE", 120)
WITNESS_POLICY = Path(env.text("WITNESS_POLICY", str(DATA / "witness-policy.txt")))
REGISTRY_KEY = Path(env.text("REGISTRY_KEY", str(KEYS_DIR / "registry.pem")))

# ------------------------------------------------------------------ the executor

EXECUTOR_SOCKET = Path(env.text("EXECUTOR_SOCKET", str(RUN_DIR / "executor.sock")))
EXECUTOR_KEY = Path(env.text("EXECUTOR_KEY", str(KEYS_DIR / "executor.pem")))
EXECUTOR_SLOTS = env.integer("EXECUTOR_SLOTS", 2)
EXECUTOR_NATIVE_SLOTS = env.integer("EXECUTOR_NATIVE_SLOTS", 0)
METRICS_TOKEN = env.text("METRICS_TOKEN")
RUNTIMES_DIR = BASE_DIR / "static" / "vendor"
PORTABLE_RUNTIME = RUNTIMES_DIR / "onnxruntime-web-1.30.0"
RUNTIMES_KEPT = DATA / "runtimes"

# ------------------------------------------------------------------ the auditor

AUDITOR_KEY = Path(env.text("AUDITOR_KEY", str(KEYS_DIR / "auditor.pem")))
# One execution in so many is drawn by lot and replayed, at least one in a round; 0: none.
AUDIT_SAMPLE = env.integer("AUDIT_SAMPLE", 100)
# A round's lots are drawn by a checkpoint that is witnessed at least so much later.
AUDIT_INTERVAL_S = env.integer("AUDIT_INTERVAL_S", 60)
# Whether the auditor runs models in onnxruntime too.
AUDIT_NATIVE = env.boolean("AUDIT_NATIVE", False)

# For tests alone: where a process of this site shall end (`inference/failpoints.py`).
FAILPOINT = env.text("ASSAY_FAILPOINT")

# ------------------------------------------------------------------ uploads and blobs

BLOBS_DIR = DATA / "blobs"
UPLOADS_DIR = DATA / "uploads"
UPLOAD_MAX_BYTES = env.integer("UPLOAD_MAX_BYTES", 20 * 2**30)
UPLOAD_PART_BYTES = 8 * 2**20
# What one owner may have; `Quota` rows say otherwise for single ones.
QUOTA_BYTES = env.integer("QUOTA_BYTES", 50 * 2**30)
QUOTA_MODELS = env.integer("QUOTA_MODELS", 10_000)
QUOTA_UPLOADS = env.integer("QUOTA_UPLOADS", 2_000)
# Content that nothing names goes after so many hours.
COLLECT_GRACE_HOURS = env.integer("COLLECT_GRACE_HOURS", 168)
# Empty: the folder BLOBS_DIR. Else s3://bucket/prefix; boto3 finds the credentials by itself.
BLOBS_STORAGE = env.text("BLOBS_STORAGE")
if BLOBS_STORAGE and (urlsplit(BLOBS_STORAGE).scheme, bool(urlsplit(BLOBS_STORAGE).netloc)) != (
    "s3",
    True,
):
    raise env.SettingError(f"BLOBS_STORAGE is s3://bucket/prefix or empty, not {BLOBS_STORAGE!r}")
BLOBS_S3_ENDPOINT = env.text("BLOBS_S3_ENDPOINT")
BLOBS_S3_REGION = env.text("BLOBS_S3_REGION", "us-east-1")
# The store's address as clients reach it, where that is another one.
BLOBS_S3_PUBLIC = env.text("BLOBS_S3_PUBLIC")
# Whether clients send parts to the store, and fetch files from it, by addresses signed for them.
BLOBS_S3_DIRECT = env.boolean("BLOBS_S3_DIRECT", True)
STORAGES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "blobs": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(BLOBS_DIR), "file_permissions_mode": 0o640},
    },
    "staticfiles": {"BACKEND": "config.static.StaticStorage"},
}
MEDIA_ROOT = DATA / "media"

# ------------------------------------------------------------------ trusted publishing

# Whose ID tokens a build may exchange for an API token of a model that trusts it.
TRUSTED_ISSUERS = env.words("TRUSTED_ISSUERS", ("https://token.actions.githubusercontent.com",))

# ------------------------------------------------------------------ the Hugging Face Hub surface

HUB_CALLS = 10_000  # of one caller in 5 minutes; 0: not counted
COMMIT_MAX_BYTES = 160 * 2**20
COMMIT_MAX_LINES = 10_000
COMMIT_MAX_LINE_BYTES = 16 * 2**20
LFS_PART_BYTES = 64 * 2**20
XET_DIR = DATA / "xet"
XET_MAX_XORB_BYTES = 68 * 2**20
XET_MAX_SHARD_BYTES = 64 * 2**20

# ------------------------------------------------------------------ moderation

# How many reports are taken from one address, or one account, in an hour.
REPORT_RATE = env.integer("REPORT_RATE", 10)

# ------------------------------------------------------------------ inference

INFER_MAX_BYTES = 64 * 2**20
# How long a process may remember a token, a name, the newest checkpoint, an executor's key.
INFER_REMEMBER_MS = env.integer("INFER_REMEMBER_MS", 1_000)
if INFER_REMEMBER_MS > 5_000:
    raise env.SettingError("INFER_REMEMBER_MS is at most 5000: a deleted token works that long")
INFER_DEADLINE_S = 50
INFER_QUEUE_S = 2
INFER_QUEUED_DEADLINE_S = 15 * 60
# What one caller may ask for in a minute, and run at the same time (`inference/quota.py`). On a
# site of this machine alone everybody is its owner.
_UNLIMITED = 1_000_000
INFER_RATE = env.integer("INFER_RATE", _UNLIMITED if SITE_IS_LOCAL else 1_200)
INFER_ANONYMOUS_RATE = env.integer("INFER_ANONYMOUS_RATE", _UNLIMITED if SITE_IS_LOCAL else 60)
INFER_CONCURRENT = env.integer("INFER_CONCURRENT", _UNLIMITED if SITE_IS_LOCAL else 8)
# What one caller may call of the REST API in a minute; 0: nothing (`config/throttle.py`).
API_RATE = env.integer("API_RATE", _UNLIMITED if SITE_IS_LOCAL else 6_000)
API_ANONYMOUS_RATE = env.integer("API_ANONYMOUS_RATE", _UNLIMITED if SITE_IS_LOCAL else 600)
# Tensors are dropped so many days after the end of their execution; what was signed stays.
EXECUTION_KEEP_DAYS = env.integer("EXECUTION_KEEP_DAYS", 90)
EXECUTION_KEEP_ANONYMOUS_DAYS = env.integer("EXECUTION_KEEP_ANONYMOUS_DAYS", 30)
# Of a private execution: so many seconds after its caller got the answer.
EXECUTION_KEEP_PRIVATE_S = env.integer("EXECUTION_KEEP_PRIVATE_S", 3600)
# Each stream of events holds one thread of its web process.
EVENT_STREAMS = env.integer("EVENT_STREAMS", 4)

# ------------------------------------------------------------------ webhooks

# Webhooks may go to this machine, over http too: for tests, and for trying them out.
WEBHOOK_LOOPBACK = env.boolean("WEBHOOK_LOOPBACK", False)
# Webhooks may go to ports above 1,024 beside 80, 443 and 8443.
WEBHOOK_HIGH_PORTS = env.boolean("WEBHOOK_HIGH_PORTS", False)

# ------------------------------------------------------------------ Django

INSTALLED_APPS = [
    "config",
    "ledger",
    "registry",
    "inference",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "csp",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "knox",
    "rest_framework",
]
MIDDLEWARE = [
    "config.middleware.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "config.throttle.RateLimitMiddleware",
    "config.middleware.PlainPathsMiddleware",
    "config.compression.CompressionMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "config.error_pages.ErrorPagesMiddleware",
    "config.suspended.SuspendedMiddleware",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
APPEND_SLASH = True
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "config.context.site",
            ],
        },
    }
]
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# ------------------------------------------------------------------ PostgreSQL, Redis

POSTGRES = Postgres(data=DATA / "postgres", sockets=RUN_DIR)
REDIS = Redis(sockets=RUN_DIR)
DATABASE_URL = env.text("DATABASE_URL", POSTGRES.url)


def _database(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    # A socket's folder stands percent-encoded in the place of the host, and keeps its capitals
    # (urlsplit().hostname would lower them).
    place = parts.netloc.rpartition("@")[2]
    host, _, port = (place, "", "") if "%2F" in place else place.partition(":")
    pool = env.integer("DATABASE_POOL", 20)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(host),
        "PORT": port,
        "CONN_MAX_AGE": 0,
        "OPTIONS": {"pool": {"min_size": 1, "max_size": pool, "timeout": 10}} if pool else {},
    }


DATABASES = {"default": _database(DATABASE_URL)}

CELERY_BROKER_URL = env.text("CELERY_BROKER_URL", REDIS.broker_url)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = False
CELERY_TASK_REJECT_ON_WORKER_LOST = False
CELERY_TASK_TIME_LIMIT = 1200
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TASK_SERIALIZER = "json"
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 5
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_DEFAULT_QUEUE = "housekeeping"
CELERY_TASK_ROUTES = {
    "inference.tasks.drain": {"queue": "executions"},
    "inference.tasks.make_traces": {"queue": "replays"},
    "inference.tasks.check_determinism": {"queue": "replays"},
}
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 120,
    "socket_timeout": 30,
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
    "health_check_interval": 25,
}
CELERY_BEAT_SCHEDULE = {
    "sweep-executions": {"task": "inference.tasks.sweep", "schedule": 5.0},
    "drop-expired-tensors": {"task": "inference.tasks.drop_expired", "schedule": 60.0},
    "warm-after-start": {"task": "inference.tasks.warm_after_start", "schedule": 15.0},
    "inspect-revisions": {"task": "inference.tasks.inspect_pending", "schedule": 5.0},
    "deliver-webhooks": {"task": "inference.tasks.deliver", "schedule": 5.0},
    "sweep-deliveries": {"task": "inference.tasks.sweep_deliveries", "schedule": 3600.0},
    "check-determinism": {"task": "inference.tasks.check_determinism", "schedule": 15.0},
    "fire-schedules": {"task": "inference.tasks.fire_schedules", "schedule": 5.0},
    "sweep-traces": {"task": "inference.tasks.sweep_traces", "schedule": 10.0},
    "sweep-staged-payloads": {"task": "ledger.tasks.sweep_staged", "schedule": 3600.0},
    "collect-blobs": {"task": "registry.tasks.collect_blobs", "schedule": 86400.0},
    "sweep-uploads": {"task": "registry.tasks.sweep_uploads", "schedule": 600.0},
    "add-up-downloads": {"task": "registry.tasks.add_up_downloads", "schedule": 30.0},
    "count-executions": {"task": "inference.tasks.count_executions", "schedule": 15.0},
    "sweep-accounts": {"task": "registry.tasks.sweep_accounts", "schedule": 600.0},
    "send-letters": {"task": "registry.tasks.send_letters", "schedule": 10.0},
}

# ------------------------------------------------------------------ accounts, tokens

AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
]
SESSION_ENGINE = "registry.session_store"
ACCOUNT_ADAPTER = "registry.accounts.Adapter"
ACCOUNT_LOGIN_METHODS = {"email", "username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email*", "password1*", "password2*"]
# An open session changes no address by itself: who has the address has the account. And whoever had
# the account before hears of it.
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_EMAIL_VERIFICATION = env.text("ACCOUNT_EMAIL_VERIFICATION", "optional")
ACCOUNT_USERNAME_VALIDATORS = "registry.accounts.USERNAME_VALIDATORS"
ACCOUNT_LOGOUT_ON_GET = False
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "Assay"
# Sign-in is limited per address of the client, which the last trusted proxy wrote down.
ALLAUTH_TRUSTED_PROXY_COUNT = env.integer("TRUSTED_PROXIES", 0)
LOGIN_REDIRECT_URL = "/"
EMAIL_BACKEND = env.text("EMAIL_BACKEND", "django.core.mail.backends.filebased.EmailBackend")
EMAIL_FILE_PATH = DATA / "mail"
EMAIL_HOST = env.text("EMAIL_HOST", "localhost")
EMAIL_PORT = env.integer("EMAIL_PORT", 25)
EMAIL_HOST_USER = env.text("EMAIL_HOST_USER")
EMAIL_HOST_PASSWORD = env.text("EMAIL_HOST_PASSWORD")
EMAIL_USE_TLS = env.boolean("EMAIL_USE_TLS", False)
DEFAULT_FROM_EMAIL = env.text("DEFAULT_FROM_EMAIL", "assay@localhost")
KNOX_TOKEN_MODEL = "registry.ApiToken"  # noqa: S105 (a model's name)
REST_KNOX = {
    "TOKEN_TTL": timedelta(days=90),
    "AUTO_REFRESH": False,
    "TOKEN_PREFIX": "assay_",
    "AUTH_HEADER_PREFIX": "Bearer",
    "TOKEN_MODEL": "registry.ApiToken",
}
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "registry.api.auth.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["registry.api.auth.ReadOrWriteScope"],
    "DEFAULT_THROTTLE_CLASSES": ["config.throttle.ApiThrottle"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "config.openapi.schema.Operation",
    "EXCEPTION_HANDLER": "config.api.exception_handler",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = openapi.SETTINGS

# ------------------------------------------------------------------ headers

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "connect-src": [SELF],
        "font-src": [SELF],
        "worker-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _HTTPS
SECURE_SSL_REDIRECT = env.boolean("SECURE_SSL_REDIRECT", False)
SECURE_HSTS_SECONDS = env.integer("SECURE_HSTS_SECONDS", 0)
_PROXY_SSL_HEADER = env.text("SECURE_PROXY_SSL_HEADER")
SECURE_PROXY_SSL_HEADER = (
    (f"HTTP_{_PROXY_SSL_HEADER.upper().replace('-', '_')}", "https") if _PROXY_SSL_HEADER else None
)
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 2**20

# ------------------------------------------------------------------ static files, logs

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = DATA / "static"
WHITENOISE_ADD_HEADERS_FUNCTION = add_headers
WHITENOISE_MIMETYPES = {".mjs": "text/javascript", ".wasm": "application/wasm"}
LOG_FORMAT = env.text("LOG_FORMAT", PLAIN)
if LOG_FORMAT not in FORMATS:
    raise env.SettingError(f"LOG_FORMAT is {' or '.join(FORMATS)}, not {LOG_FORMAT!r}")
# A line for each answer, beside what goes wrong.
LOG_REQUESTS = env.boolean("LOG_REQUESTS", False)
LOGGING = logging_config(LOG_FORMAT, env.text("LOG_LEVEL", "INFO"))
