"""App configuration."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Who you are, what you may do, what you own."""

    name = "accounts"
