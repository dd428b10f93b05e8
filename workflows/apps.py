"""App configuration."""

from django.apps import AppConfig


class WorkflowsConfig(AppConfig):
    """What should run, and the status of what runs."""

    name = "workflows"
