"""App configuration."""

from django.apps import AppConfig


class ExecutorsConfig(AppConfig):
    """How one task runs, and where."""

    name = "executors"
