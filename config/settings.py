"""All settings, read from the environment by the strict readers of env.py. docs/reference/settings.md lists them."""

import os
import sys
from pathlib import Path

import dj_database_url
from django.core.exceptions import ImproperlyConfigured
from django.utils.csp import CSP

from config import candles, env, logs

BASE_DIR = Path(__file__).resolve().parent.parent
HOME = env.open_folder("HINDSIGHT_HOME", BASE_DIR / "var")
# In the environment, so that numba looks there in this process and in every child of it.
KERNEL_CACHE = Path(os.environ.setdefault("NUMBA_CACHE_DIR", str(HOME / "cache" / "numba")))

DEBUG = env.read_bool("HINDSIGHT_DEBUG", False)
IS_HTTPS = env.read_bool("HINDSIGHT_HTTPS", False)
SECRETS_FILE = HOME / "secrets" / "secret_key"


def _read_secret_key() -> str:
    if key := env.read_text("HINDSIGHT_SECRET_KEY"):
        return key
    if SECRETS_FILE.is_file():
        return SECRETS_FILE.read_text().strip()
    raise ImproperlyConfigured(
        f"There is no secret key: {SECRETS_FILE} does not exist. Run `make setup`, or set HINDSIGHT_SECRET_KEY."
    )


SECRET_KEY = _read_secret_key()
ALLOWED_HOSTS = env.read_list("HINDSIGHT_ALLOWED_HOSTS", ["127.0.0.1", "localhost", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.read_list("HINDSIGHT_TRUSTED_ORIGINS", [])

INSTALLED_APPS = [
    "accounts",
    "strategies",
    "marketdata",
    "backtests",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.forms",
    "allauth",
    "allauth.account",
    "django_htmx",
    "django_filters",
    "rest_framework",
    "knox",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_q",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.csp",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "accounts.http.describe_site",
            ]
        },
    }
]

# --- Database -------------------------------------------------------------------------------------------------------
SQLITE_PRAGMAS = (
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA mmap_size=134217728;"
    " PRAGMA cache_size=-20000; PRAGMA journal_size_limit=67108864;"
)
DATABASE_URL = env.read_text("DATABASE_URL")
if DATABASE_URL:
    DATABASES = {"default": dj_database_url.parse(DATABASE_URL, conn_max_age=60, conn_health_checks=True)}
    if DATABASES["default"]["ENGINE"].endswith("postgresql"):
        # A host that vanished in the middle of a transaction must not keep its locks until TCP gives up on it.
        DATABASES["default"].setdefault("OPTIONS", {}).setdefault(
            "options", "-c idle_in_transaction_session_timeout=60s"
        )
else:
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": HOME / "hindsight.sqlite3",
            "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 20, "init_command": SQLITE_PRAGMAS},
        }
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Queue: carries run ids, nothing else; the row is the truth ------------------------------------------------------
N_WORKERS = env.read_int("HINDSIGHT_WORKERS", 2, at_least=1, at_most=64)
RUN_WALL_CLOCK_S = env.read_int("HINDSIGHT_RUN_WALL_CLOCK_S", 600, at_least=1, at_most=86_400)
JAIL = env.read_choice("HINDSIGHT_JAIL", "auto", ("auto", "full", "inner", "none"))
if JAIL == "none" and not DEBUG:
    raise ImproperlyConfigured("HINDSIGHT_JAIL=none runs strategies unguarded; only HINDSIGHT_DEBUG=1 allows it.")
KEEPS_WARM_CHILD = env.read_bool("HINDSIGHT_WARM_CHILD", True)
CHECKS_VERSIONS = env.read_bool("HINDSIGHT_CHECK_VERSIONS", True)
QUEUE_MARGIN_S = 120  # how much later than the run's own limit the queue would stop its worker
Q_CLUSTER = {
    "name": "hindsight",
    "orm": "default",
    "broker_class": "backtests.operations.broker.DatabaseBroker",
    "workers": N_WORKERS,
    "poll": 0.05,
    "queue_limit": 1,
    "max_attempts": 1,
    "ack_failures": True,
    "save_limit": -1,
    "guard_cycle": 0.5,
    "timeout": RUN_WALL_CLOCK_S + QUEUE_MARGIN_S,
    "retry": 10 * (RUN_WALL_CLOCK_S + QUEUE_MARGIN_S),
    "recycle": 20_000,  # the supervisor starts the whole cluster anew when a worker leaves
    "scheduler": True,  # the daily extension of candles
    "catch_up": False,
    "bulk": 1,
}

# --- Accounts -------------------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
HAS_MAIL_SERVER = bool(env.read_text("HINDSIGHT_EMAIL_HOST"))  # without one, mails are printed on the console
if HAS_MAIL_SERVER:
    MAIL_OPTIONS = {
        "host": env.read_text("HINDSIGHT_EMAIL_HOST"),
        "port": env.read_int("HINDSIGHT_EMAIL_PORT", 587, at_least=1, at_most=65_535),
        "username": env.read_text("HINDSIGHT_EMAIL_USER"),
        "password": env.read_text("HINDSIGHT_EMAIL_PASSWORD"),
        "use_tls": env.read_bool("HINDSIGHT_EMAIL_TLS", True),
        "timeout": 10,
    }
    MAILERS = {"default": {"BACKEND": "django.core.mail.backends.smtp.EmailBackend", "OPTIONS": MAIL_OPTIONS}}
else:
    MAILERS = {"default": {"BACKEND": "django.core.mail.backends.console.EmailBackend"}}
DEFAULT_FROM_EMAIL = env.read_text("HINDSIGHT_EMAIL_FROM", "hindsight@localhost")
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "mandatory" if HAS_MAIL_SERVER else "optional"
ACCOUNT_EMAIL_NOTIFICATIONS = HAS_MAIL_SERVER
ACCOUNT_EMAIL_SUBJECT_PREFIX = "Hindsight: "
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
ACCOUNT_MAX_EMAIL_ADDRESSES = 3
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_LOGOUT_REDIRECT_URL = "home"
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https" if IS_HTTPS else "http"
ACCOUNT_RATE_LIMITS = {"login_failed": "20/m/ip,5/15m/key"}
# Behind N reverse proxies the client's address is the Nth from the right in X-Forwarded-For.
N_TRUSTED_PROXIES = env.read_int("HINDSIGHT_TRUSTED_PROXIES", 0, at_least=0, at_most=10)
ALLAUTH_TRUSTED_PROXY_COUNT = N_TRUSTED_PROXIES
LOGIN_REDIRECT_URL = "home"
LOGIN_URL = "account_login"

# --- Market data ----------------------------------------------------------------------------------------------------
ARCHIVE_URL = env.read_text("HINDSIGHT_ARCHIVE_URL", "https://data.binance.vision")
# Answers as an S3 bucket does; a mirror that cannot is asked file by file.
ARCHIVE_LISTING_URL = env.read_text(
    "HINDSIGHT_ARCHIVE_LISTING_URL",
    "https://s3-ap-northeast-1.amazonaws.com/data.binance.vision" if "binance.vision" in ARCHIVE_URL else "",
)
# The hour, UTC, at which the daily schedule extends what is held to the newest files; -1: never.
EXTEND_HOUR = env.read_int("HINDSIGHT_EXTEND_HOUR", 8, at_least=-1, at_most=23)

CANDLE_S3 = candles.read_s3()  # None: in HOME
CANDLE_CACHE_BYTES = 1024**2 * env.read_int("HINDSIGHT_CANDLE_CACHE_MB", 20_480, at_least=64, at_most=10_000_000)

# --- Web ------------------------------------------------------------------------------------------------------------
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True
STATIC_URL = "static/"
STATIC_ROOT = HOME / "static"
STATICFILES_DIRS = [("dist", BASE_DIR / "static" / "dist"), ("img", BASE_DIR / "static" / "img")]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "config.static_storage.CollectedStaticFiles"},
}
# Until deploy/build_assets.py has collected, whitenoise finds each file where it lies.
WHITENOISE_USE_FINDERS = not (STATIC_ROOT / "staticfiles.json").is_file()
# The __Host- prefix binds a cookie to this host and to HTTPS; browsers refuse it without.
SESSION_COOKIE_NAME = "__Host-hindsight_session" if IS_HTTPS else "hindsight_session"
SESSION_COOKIE_SECURE = IS_HTTPS
CSRF_COOKIE_NAME = "__Host-hindsight_csrf" if IS_HTTPS else "hindsight_csrf"
CSRF_COOKIE_SECURE = IS_HTTPS
CSRF_COOKIE_HTTPONLY = True
SECURE_SSL_REDIRECT = IS_HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if IS_HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = IS_HTTPS
SECURE_HSTS_PRELOAD = IS_HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if IS_HTTPS else None
X_FRAME_OPTIONS = "DENY"
SECURE_CSP = {
    "default-src": [CSP.SELF],
    "script-src": [CSP.SELF],
    "style-src": [CSP.SELF, CSP.NONCE],
    "img-src": [CSP.SELF, "data:", "blob:"],
    "font-src": [CSP.SELF],
    "connect-src": [CSP.SELF],
    "object-src": [CSP.NONE],
    "base-uri": [CSP.NONE],
    "form-action": [CSP.SELF],
    "frame-ancestors": [CSP.NONE],
}
# Counts of sign-in attempts must be shared by all web processes of this host.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
        "LOCATION": HOME / "cache" / "web",
        "OPTIONS": {"MAX_ENTRIES": 20_000},
    }
}

# --- Uploads --------------------------------------------------------------------------------------------------------
FILE_UPLOAD_HANDLERS = [
    "marketdata.uploads.handler.FileLimit",  # before anything is kept
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "django.core.files.uploadhandler.TemporaryFileUploadHandler",
]

# --- Logs -----------------------------------------------------------------------------------------------------------
LOG_FORMAT = env.read_choice("HINDSIGHT_LOG_FORMAT", "console", ("console", "json"))
LOG_LEVEL = env.read_choice("HINDSIGHT_LOG_LEVEL", "info", ("debug", "info", "warning", "error")).upper()
LOGGING = logs.build_logging(is_json=LOG_FORMAT == "json", level=LOG_LEVEL, is_terminal=sys.stderr.isatty())
logs.configure_structlog()

# --- API ------------------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.api.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "EXCEPTION_HANDLER": "accounts.api.errors.answer_refusal",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_PAGINATION_CLASS": "accounts.api.pagination.BoundedPagination",
    "DEFAULT_METADATA_CLASS": None,  # OPTIONS has nothing to add to the schema
    "DEFAULT_PARSER_CLASSES": [
        "accounts.api.parsers.ShallowJSONParser",
        "rest_framework.parsers.FormParser",
        "rest_framework.parsers.MultiPartParser",
    ],
    "DEFAULT_THROTTLE_RATES": {"sign_in": "30/min"},
    "NUM_PROXIES": N_TRUSTED_PROXIES,
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
}
MIGRATION_MODULES = {"knox": None}  # its own table would only stand in the way of flushing the database
KNOX_TOKEN_MODEL = "accounts.ApiToken"  # noqa: S105  (a name, no secret)
REST_KNOX = {"TOKEN_PREFIX": "hindsight_", "AUTO_REFRESH": False}
SPECTACULAR_SETTINGS = {
    "TITLE": "Hindsight API",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "ENUM_NAME_OVERRIDES": {
        "IngestJobKind": "marketdata.ingest_job.IngestJob.Kind",
        "JobStatus": "marketdata.ingest_job.IngestJob.Status",
        "SeriesKind": "marketdata.models.SeriesKind.choices",
        "VersionCheckStatus": "backtests.presentation.checks.CHECK_STATUSES",
    },
}
