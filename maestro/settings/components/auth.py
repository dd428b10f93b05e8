"""Who may sign in and how: user model, password rules, session cookies."""

AUTH_USER_MODEL = "accounts.User"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

SESSION_COOKIE_NAME = "maestro_session"
CSRF_COOKIE_NAME = "maestro_csrf"
SESSION_COOKIE_SAMESITE = "Lax"
LOGIN_URL = "/admin/login/"
