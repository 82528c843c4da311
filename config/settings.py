"""Django's settings, all of them made from the typed configuration (`config.layers`)."""

import os
import ssl
import zlib
from datetime import timedelta
from typing import Any

from config import browser_rules, logs
from config.databases import database, database_urls, valkey_url
from config.files import file_storage
from config.launch import endpoints
from config.layers import ROOT, ConfigurationRefused, load
from config.other_sites import other_sites
from config.rotation import Rotation
from config.secrets.redactor import REDACTOR

try:
    LOADED = load()
except ConfigurationRefused as refused:
    # The operator reads this, whichever program was started; a traceback would bury it.
    raise SystemExit(str(refused)) from None

ATTRACTOR = LOADED.configuration
BASE_DIR = ROOT
DATA_DIR = (ROOT / ATTRACTOR.data_dir).resolve()
PRODUCTION = ATTRACTOR.environment == "production"
# Kernels and programs that the engine has compiled, here and in every process started from here.
os.environ.setdefault("ATTRACTOR_CACHE_DIR", str(DATA_DIR / "cache"))

# --- What signs and who is served -------------------------------------------------------------------------

SECRET_KEY = (
    ATTRACTOR.security.secret_key.get_secret_value()
    if ATTRACTOR.security.secret_key
    else endpoints.kept_secret(DATA_DIR / "secret_key", 60)
)
SECRET_KEY_FALLBACKS = (
    [ATTRACTOR.security.old_secret_key.get_secret_value()] if ATTRACTOR.security.old_secret_key else []
)
ROTATION = Rotation(LOADED)
DEBUG = ATTRACTOR.debug
DEFAULT_EXCEPTION_REPORTER_FILTER = "config.exception_filter.KnownSecretsFilter"
ALLOWED_HOSTS = ATTRACTOR.web.allowed_hosts
CSRF_TRUSTED_ORIGINS = ATTRACTOR.web.trusted_origins
DATA_UPLOAD_MAX_MEMORY_SIZE = ATTRACTOR.limits.request_bytes  # forms; the API's parser has the same limit
DATA_UPLOAD_MAX_NUMBER_FILES = 0  # no page takes files; what the API takes comes as it is and is no form

# --- Applications -----------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "apps.accounts",
    "apps.workspaces",
    "apps.projects",
    "apps.presets",
    "apps.runs",
    "apps.webhooks",
    "apps.sharing",
    "apps.live",
    "apps.ops",
    "apps.web",
    "apps.console",
    "config",
    "apps.console.operator_app.OperatorAdmin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.github",
    "apps.accounts.oidc",
    "django_otp",
    "rest_framework",
    "drf_spectacular",
    "channels",
    "storages",
    "corsheaders",
    "csp",
]

MIDDLEWARE = [
    "config.middleware.RequestContext",
    "apps.ops.throttling.RateLimitHeaders",
    "csp.middleware.CSPMiddleware",
    "apps.ops.browsers.AnswerHeaders",
    "corsheaders.middleware.CorsMiddleware",
    "apps.ops.plain_http.PlainHttpRefused",  # before Django redirects it
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "apps.accounts.middleware.KeyMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "apps.accounts.middleware.SecondFactorMiddleware",
    "apps.console.middleware.ImpersonationMiddleware",
    "apps.accounts.middleware.VisitMiddleware",
    "apps.accounts.known_browsers.KnownBrowserMiddleware",
    "apps.accounts.middleware.TimeZoneMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "apps.workspaces.middleware.WorkspaceMiddleware",  # last: it calls the view itself
]

ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
WSGI_APPLICATION = "config.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ROOT / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.debug",
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

# --- PostgreSQL: two roles --------------------------------------------------------------------------------

DATABASE_URLS = database_urls(ATTRACTOR, DATA_DIR)
if ATTRACTOR.database.role not in DATABASE_URLS:
    raise SystemExit(
        "database.role is owner, but database.owner_url is not configured: set ATTRACTOR_DATABASE_OWNER_URL"
    )
_DATABASE = database(DATABASE_URLS[ATTRACTOR.database.role])
DATABASES: dict[str, dict[str, Any]] = {
    "default": {
        **_DATABASE,
        "CONN_MAX_AGE": 0,  # it is the pool that keeps connections
        "OPTIONS": {**_DATABASE.get("OPTIONS", {}), "application_name": f"attractor-{ATTRACTOR.database.role}"},
    }
}
if ATTRACTOR.database.role == "app":
    # Migrations of the owner may take longer.
    DATABASES["default"]["OPTIONS"]["options"] = (
        f"-c statement_timeout={int(ATTRACTOR.database.statement_timeout * 1000)}"
    )
    if ATTRACTOR.database.pool:
        DATABASES["default"]["OPTIONS"]["pool"] = {
            "min_size": 0,  # a forked worker holds no more connections than it uses
            "max_size": ATTRACTOR.database.pool_size,
            "timeout": ATTRACTOR.database.pool_timeout,
        }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Valkey: broker, channel layer, cache -----------------------------------------------------------------

VALKEY_URL = valkey_url(ATTRACTOR, DATA_DIR)
CACHES = {
    "default": {
        "BACKEND": "config.cache.LossTolerantCache",
        "LOCATION": VALKEY_URL,
        "KEY_PREFIX": "cache",
        "OPTIONS": {"socket_connect_timeout": 1, "socket_timeout": 2},
    }
}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        # redis-py's default of 5 s would close every idle socket.
        "CONFIG": {"hosts": [{"address": VALKEY_URL, "socket_timeout": None}]},
    }
}

CELERY_BROKER_URL = VALKEY_URL
if VALKEY_URL.startswith("rediss://") and "ssl_" not in VALKEY_URL:
    # The other clients hold a certificate to the system's authorities by themselves; kombu has to be told.
    CELERY_BROKER_USE_SSL = {"ssl_cert_reqs": ssl.CERT_REQUIRED}
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": ATTRACTOR.worker.visibility_timeout,
    "socket_connect_timeout": 2,
    "global_keyprefix": "celery:",
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # Valkey may be away for any time
CELERY_TASK_DEFAULT_QUEUE = "runs"
CELERY_TASK_IGNORE_RESULT = True  # results live in PostgreSQL
CELERY_TASK_ACKS_LATE = False  # the message is a hint: the row is claimed, and the sweeper sends lost ones again
CELERY_TASK_PUBLISH_RETRY = False  # a run whose message was not sent stays queued; the sweeper sends it again
CELERY_WORKER_POOL = "threads"  # a task only watches its run's own process
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_DISABLE_PREFETCH = True  # a busy worker leaves waiting runs to the others
CELERY_WORKER_DIRECT = True  # a queue of its own, through which each worker sees that it still consumes
CELERY_WORKER_CONCURRENCY = ATTRACTOR.worker.processes
CELERY_WORKER_REDIRECT_STDOUTS = False
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False  # runs go on without Valkey
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TIMEZONE = "UTC"

# --- Accounts ---------------------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["apps.accounts.backend.PasswordBackend"]
AUTH_PASSWORD_VALIDATORS = [
    # Any characters make a password, digits alone too, but none that was seen in breaches (the list is Django's).
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ("name", "email")},
    },
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 8}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "apps.accounts.password_words.SiteWordsValidator"},
]
PASSWORD_RESET_TIMEOUT = ATTRACTOR.accounts.reset_minutes * 60
PASSWORD_HASHERS = (
    ["django.contrib.auth.hashers.MD5PasswordHasher"]  # a slow hash would only slow the suite down
    if ATTRACTOR.environment == "test"
    else ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]
)
ACCOUNT_ADAPTER = "apps.accounts.adapter.AccountAdapter"
ACCOUNT_FORMS = {
    "signup": "apps.accounts.forms.SignupForm",
    "reset_password": "apps.accounts.forms.ResetPasswordForm",
}
# Wrong passwords and mails to one address are counted in `apps.accounts.guesses`, so that nobody locks others out.
ACCOUNT_RATE_LIMITS = {"login": None, "login_failed": None, "reset_password": "20/m/ip", "signup": "20/m/ip"}
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = ATTRACTOR.accounts.email_verification
ACCOUNT_UNIQUE_EMAIL = True
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_SESSION_REMEMBER = None  # people are asked
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_CHANGE_EMAIL = True  # one address, which another takes the place of once that is confirmed
SOCIALACCOUNT_ADAPTER = "apps.accounts.other_sites.OtherSitesAdapter"
SOCIALACCOUNT_PROVIDERS = other_sites(ATTRACTOR.oauth, LOADED.store)
MESSAGE_STORAGE = "apps.web.message_storage.MessageStorage"
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/"

# --- API --------------------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "apps.accounts.authentication.KeyLogin",
        "apps.accounts.authentication.SessionLogin",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["apps.ops.parsers.BoundedJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_THROTTLE_CLASSES": ["apps.ops.throttling.RequestLimits"],
    "NUM_PROXIES": 1 if ATTRACTOR.web.behind_proxy else 0,  # whose word about a caller's address is taken
    "EXCEPTION_HANDLER": "apps.ops.problems.exception_handler",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Attractor",
    "DESCRIPTION": "Graphs, presets and runs.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "apps.ops.schema.say_problems",
    ],
    "ENUM_NAME_OVERRIDES": {
        "RunStateEnum": "apps.runs.states.RunState",
        "RunKindEnum": "apps.runs.models.Run.Kind",
        "AttemptStateEnum": "apps.runs.states.AttemptState",
        "EventKindEnum": "apps.runs.models.RunEvent.Kind",
        "CommandKindEnum": "apps.runs.models.RunCommand.Kind",
        "ArtifactKindEnum": "apps.runs.models.Artifact.Kind",
        "ExportFormatEnum": "apps.runs.exports_api.FORMATS",
        "SeriesAxisEnum": "apps.runs.overlays_api.AXES",
        "LeftOutCodeEnum": "apps.runs.overlays_api.LEFT_OUT",
        "PointStateEnum": "apps.runs.models.RunPoint.State",
        "RecordingStateEnum": "apps.runs.recordings.STATES",
        "OutageEnum": "apps.runs.exports_api.AWAY",
        "VerdictEnum": "apps.runs.models.Reproduction.Verdict",
        "RoleEnum": "apps.workspaces.models.Role",
        "PersonRoleEnum": "apps.workspaces.members.CHOICES",
        "VisibilityEnum": "apps.workspaces.models.Visibility",
        "DeliveryStateEnum": "apps.webhooks.models.WebhookDelivery.State",
    },
}

# --- Files ------------------------------------------------------------------------------------------------

STATIC_URL = "/static/"
STATIC_ROOT = ROOT / "staticfiles"
STATICFILES_DIRS = [ROOT / "static" / "dist"]
WHITENOISE_USE_FINDERS = not PRODUCTION  # production serves what collectstatic gathered
MEDIA_ROOT = DATA_DIR / "files"
STORAGES = {
    "default": file_storage(ATTRACTOR.storage, MEDIA_ROOT),
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}

# --- Browser security -------------------------------------------------------------------------------------

HTTPS = ATTRACTOR.web.https
# Browsers share cookies between the ports of a host: two checkouts must not end each other's logins.
_BESIDE = "" if PRODUCTION else f"_{zlib.crc32(str(DATA_DIR).encode()):08x}"
# Browsers take a cookie of such a name over https only, for this very host and all of its paths.
_HOST = "__Host-" if HTTPS else ""
SESSION_COOKIE_NAME = f"{_HOST}sessionid{_BESIDE}"
SESSION_ENGINE = "apps.accounts.sessions"
SESSION_COOKIE_AGE = int(timedelta(days=ATTRACTOR.web.session_days).total_seconds())
SESSION_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
KNOWN_COOKIE_NAME = f"{_HOST}known{_BESIDE}"
CSRF_COOKIE_NAME = f"{_HOST}csrftoken"
CSRF_COOKIE_SECURE = HTTPS
CSRF_COOKIE_HTTPONLY = True  # scripts take the token from the page
CSRF_COOKIE_SAMESITE = "Lax"
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^health/"]  # probes speak plain HTTP inside the cluster
SECURE_HSTS_SECONDS = ATTRACTOR.web.hsts_seconds
SECURE_HSTS_INCLUDE_SUBDOMAINS = ATTRACTOR.web.hsts_seconds > 0
SECURE_HSTS_PRELOAD = ATTRACTOR.web.hsts_seconds > 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if ATTRACTOR.web.behind_proxy else None
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {"DIRECTIVES": browser_rules.content_policy(ATTRACTOR)}
PERMISSIONS_POLICY = browser_rules.PERMISSIONS_POLICY

# --- Scripts of other sites: the API alone, and never with a cookie ----------------------------------------

CORS_ALLOWED_ORIGINS = ATTRACTOR.web.cors_origins
CORS_URLS_REGEX = r"^/api/v1/"
CORS_ALLOW_CREDENTIALS = False
CORS_ALLOW_HEADERS = [
    "accept", "authorization", "content-type", "idempotency-key", "if-match", "if-none-match", "x-request-id",
]  # fmt: skip
CORS_EXPOSE_HEADERS = [
    "Content-Disposition", "ETag", "Link", "Location", "RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-ID",
]  # fmt: skip
CORS_PREFLIGHT_MAX_AGE = 600

# --- E-mail -----------------------------------------------------------------------------------------------

EMAIL_BACKEND = {
    "console": "django.core.mail.backends.console.EmailBackend",
    "smtp": "django.core.mail.backends.smtp.EmailBackend",
    "memory": "django.core.mail.backends.locmem.EmailBackend",
}[ATTRACTOR.email.backend]
DEFAULT_FROM_EMAIL = ATTRACTOR.email.sender
EMAIL_HOST = ATTRACTOR.email.host
EMAIL_PORT = ATTRACTOR.email.port
EMAIL_HOST_USER = ATTRACTOR.email.user or ""
EMAIL_HOST_PASSWORD = ATTRACTOR.email.password.get_secret_value() if ATTRACTOR.email.password else ""
EMAIL_TIMEOUT = 10  # s; who waits for a page waits for it
EMAIL_USE_TLS = ATTRACTOR.email.starttls

# Of what is printed, logged or reported these are taken out (`config.secrets.redactor`).
REDACTOR.learn("site", SECRET_KEY, *SECRET_KEY_FALLBACKS, *DATABASE_URLS.values(), VALKEY_URL)
ROTATION.teach()

# --- Language, time, logs, error reports ------------------------------------------------------------------

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

LOGGING = logs.configure(ATTRACTOR.log.level, ATTRACTOR.log.format)

if ATTRACTOR.sentry.dsn:
    import sentry_sdk

    from config import sentry_hooks

    sentry_sdk.init(**sentry_hooks.options(ATTRACTOR))
