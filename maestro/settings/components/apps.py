"""Installed apps, middleware, URLs, templates, static files and language."""

from maestro.settings.components.environment import ENVIRONMENT

SECRET_KEY = ENVIRONMENT.secret_key.get_secret_value()
DEBUG = False
ALLOWED_HOSTS = list(ENVIRONMENT.allowed_hosts)
MAESTRO_PUBLIC_URL = ENVIRONMENT.public_url
CSRF_TRUSTED_ORIGINS = [ENVIRONMENT.public_url]

INSTALLED_APPS = [
    # The theme's templates go before Django's.
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "accounts",
    "executors",
    "workflows",
]

MIDDLEWARE = [
    "maestro.core.rest.request_id.RequestIdMiddleware",
    "accounts.audit.middleware.ApiRequestMiddleware",
    "maestro.core.rest.chunked.LengthRequiredMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "maestro.core.database_away.DatabaseAwayMiddleware",
]

ROOT_URLCONF = "maestro.urls"
ASGI_APPLICATION = "maestro.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

STATIC_URL = "/static/"
# One process serves its own static files straight from the installed packages: no collectstatic step before `maestro
# up`.
WHITENOISE_USE_FINDERS = True

LANGUAGE_CODE = "en"
USE_I18N = False
FORMAT_MODULE_PATH = "maestro.settings.formats"
TIME_ZONE = "UTC"
USE_TZ = True
