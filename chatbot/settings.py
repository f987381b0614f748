"""Django's settings, from what `env` read. Embedded and grown form run this same file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import dj_database_url
from csp.constants import NONCE, NONE, SELF

from chatbot import env, paths
from chatbot.env import SettingError

try:
    ENV = env.load()
    SECRET_KEY = ENV["SECRET_KEY"] or paths.kept_secret(ENV["DATA_DIR"])
except SettingError as error:
    sys.exit(f"parley: {error}")

BASE_DIR = env.ROOT
DATA_DIR: Path = ENV["DATA_DIR"]
RUN_DIR = paths.run_dir(DATA_DIR)
DEBUG = ENV["DEBUG"]
TESTING = "pytest" in sys.modules

ALLOWED_HOSTS = ENV["ALLOWED_HOSTS"]
PUBLIC_URL = ENV["PUBLIC_URL"].rstrip("/")
if PUBLIC_URL:
    ALLOWED_HOSTS = [*ALLOWED_HOSTS, PUBLIC_URL.split("://")[1].split("/")[0].rsplit(":", 1)[0]]
    CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
IS_HTTPS = PUBLIC_URL.startswith("https://")

INSTALLED_APPS = [
    "daphne",
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "unfold.contrib.import_export",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "channels",
    "csp",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "axes",
    "auditlog",
    "import_export",
    "django_celery_beat",
    "django_prometheus",
    "chatbot",
    "assistant.accounts",
    "assistant.widget",
    "assistant.knowledge",
    "assistant.safety",
    "assistant.response_cache",
    "assistant.conversations",
    "assistant.support",
    "assistant.console",
]

# A fourth assistant is one folder and one line here.
SCENARIOS = ["assistant.support.scenario.Support"]

MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "assistant.accounts.middleware.ClientAddress",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
    "assistant.console.middleware.AuditActor",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "assistant.accounts.middleware.Console",
    "axes.middleware.AxesMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]

ROOT_URLCONF = "chatbot.urls"
ASGI_APPLICATION = "chatbot.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
            ]
        },
    }
]

# ── Database ──────────────────────────────────────────────────────────────────────────────────────
if ENV["DATABASE_URL"]:
    DATABASES: dict[str, Any] = {"default": dj_database_url.parse(ENV["DATABASE_URL"], conn_max_age=0)}
    # Under ASGI a persistent connection belongs to a thread that may never come back: pool instead.
    DATABASES["default"].setdefault("OPTIONS", {})["pool"] = {"min_size": 1, "max_size": 16, "timeout": 10}
else:
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": DATA_DIR / "db.sqlite3",
            "CONN_MAX_AGE": 0,
            "OPTIONS": {
                "timeout": 20,
                "transaction_mode": "IMMEDIATE",
                "init_command": (
                    "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;"
                    "PRAGMA temp_store=MEMORY; PRAGMA cache_size=-32000; PRAGMA mmap_size=268435456;"
                ),
            },
            "TEST": {"NAME": DATA_DIR / "test.sqlite3"},
        }
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# ── Valkey: cache, channel layer, broker, event log ───────────────────────────────────────────────
REDIS_URL = ENV["REDIS_URL"] or f"unix://{RUN_DIR / 'valkey.sock'}"
CACHES: dict[str, Any] = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "cache",
        "OPTIONS": {
            "CLIENT_CLASS": "django_redis.client.DefaultClient",
            "SOCKET_CONNECT_TIMEOUT": 1,
            "SOCKET_TIMEOUT": 1,
            "IGNORE_EXCEPTIONS": True,
        },
    },
}
# Answers are kept as text: whoever can write to the cache must not thereby run code in the web process.
CACHES["responses"] = CACHES["default"] | {
    "KEY_PREFIX": "cache:answer",
    "OPTIONS": CACHES["default"]["OPTIONS"] | {"SERIALIZER": "django_redis.serializers.json.JSONSerializer"},
}
DJANGO_REDIS_LOG_IGNORED_EXCEPTIONS = True
CHANNEL_LAYERS: dict[str, Any] = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [REDIS_URL], "prefix": "asgi"},
    }
}
CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://")

# ── The engine ────────────────────────────────────────────────────────────────────────────────────
ENGINE_URL: str = ENV["ENGINE_URL"]
ENGINE_API_KEY: str = ENV["ENGINE_API_KEY"]
ENGINE_MODEL: str = ENV["ENGINE_MODEL"]
ENGINE_SOCKET = RUN_DIR / "engine.sock"
EMBEDDINGS_SOCKET = ENGINE_SOCKET  # the embedded process always serves embeddings
MODEL: str = ENV["MODEL"]
MODELS_DIR = Path(ENV["MODELS_DIR"] or DATA_DIR / "models")

# ── People ────────────────────────────────────────────────────────────────────────────────────────
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    # Knows permissions as ModelBackend does; a second backend would hash every wrong password twice.
    "allauth.account.auth_backends.AuthenticationBackend",
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_ADAPTER = "assistant.accounts.adapters.AccountAdapter"
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_EMAIL_NOTIFICATIONS = True
# Failures of one login are counted by axes with the address; here, an address that tries many logins.
ACCOUNT_RATE_LIMITS = {"login": "60/m/ip", "login_failed": "30/m/ip"}
LOGIN_REDIRECT_URL = "/chat/"
LOGIN_URL = "account_login"
SIGNUP_OPEN: bool = ENV["SIGNUP_OPEN"]
STAFF_MFA: bool = ENV["STAFF_MFA"]
MFA_ADAPTER = "assistant.accounts.adapters.MfaAdapter"
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_TOTP_ISSUER = "Parley"
USERSESSIONS_TRACK_ACTIVITY = False
AXES_FAILURE_LIMIT = 8
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_USERNAME_FORM_FIELD = "login"
AXES_USERNAME_CALLABLE = "assistant.accounts.adapters.login_of"
AXES_CLIENT_IP_CALLABLE = "assistant.accounts.adapters.address_of"
AXES_LOCKOUT_CALLABLE = "assistant.accounts.adapters.locked_out"
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False  # or an attacker could lock somebody out for ever

# ── Browser-facing security ───────────────────────────────────────────────────────────────────────
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if ENV["TRUSTED_PROXIES"] else None
SECURE_SSL_REDIRECT = False  # the proxy's business
SECURE_HSTS_SECONDS = 31_536_000 if IS_HTTPS else 0
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = IS_HTTPS
SESSION_COOKIE_HTTPONLY = True
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF, NONCE],
        "style-src": [SELF, NONCE],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "frame-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
FILE_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024
TRUSTED_PROXIES: int = ENV["TRUSTED_PROXIES"]
METRICS_TOKEN: str = ENV["METRICS_TOKEN"]

# ── Language, time, files, mail ───────────────────────────────────────────────────────────────────
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
LOCALE_PATHS = [BASE_DIR / "templates" / "locale"]
TIME_ZONE = ENV["TIME_ZONE"]
USE_TZ = True
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = DATA_DIR / "static"
MEDIA_ROOT = DATA_DIR / "uploads"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True
if ENV["EMAIL_URL"]:
    from urllib.parse import unquote, urlsplit

    _mail = urlsplit(ENV["EMAIL_URL"])
    EMAIL_HOST, EMAIL_PORT = _mail.hostname or "localhost", _mail.port or 25
    EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = unquote(_mail.username or ""), unquote(_mail.password or "")
    EMAIL_USE_SSL = _mail.scheme == "smtps"
    EMAIL_USE_TLS = _mail.scheme == "smtp" and bool(_mail.username)
else:
    EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    EMAIL_FILE_PATH = DATA_DIR / "mail"
DEFAULT_FROM_EMAIL = ENV["DEFAULT_FROM_EMAIL"]

# ── Jobs ──────────────────────────────────────────────────────────────────────────────────────────
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_SERIALIZER = CELERY_RESULT_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_TIME_LIMIT = 3600
CELERY_TASK_SOFT_TIME_LIMIT = 3540
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 7200, "socket_keepalive": True}
CELERY_TIMEZONE = TIME_ZONE
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
# A worker that says nothing of its job for so long is presumed dead (assistant.console.jobs).
JOB_LEASE_S = 60
CELERY_BEAT_SCHEDULE: dict[str, Any] = {
    "forget expired": {"task": "assistant.accounts.tasks.forget_expired", "schedule": 3600.0},
    "canary": {"task": "assistant.console.tasks.canary", "schedule": 15.0, "options": {"expires": 60}},
    "recover jobs": {
        "task": "assistant.console.tasks.recover_jobs",
        "schedule": 15.0,
        "options": {"expires": 60},
    },
    "title conversations": {
        "task": "assistant.conversations.tasks.make_titles",
        "schedule": 10.0,
        "options": {"expires": 10},
    },
    "recover turns": {
        "task": "assistant.conversations.tasks.recover_turns",
        "schedule": 15.0,
        "options": {"expires": 15},
    },
    "delete old conversations": {
        "task": "assistant.conversations.tasks.delete_old_conversations",
        "schedule": 3600.0,
    },
    "purge jobs": {"task": "assistant.console.tasks.purge_jobs", "schedule": 3600.0},
}

# ── Console ───────────────────────────────────────────────────────────────────────────────────────
from assistant.console.unfold import UNFOLD as UNFOLD  # noqa: E402

# ── Logs ──────────────────────────────────────────────────────────────────────────────────────────
LOG_LEVEL: str = ENV["LOG_LEVEL"]
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "filters": {"redact": {"()": "assistant.safety.log_filter.RedactFilter"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["redact"]}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {
        "httpx": {"level": "WARNING"},
        "django_redis": {"level": "ERROR"},
        "axes": {"level": "WARNING"},
    },
}
