"""Closed sets of this app."""

from django.db import models


class Role(models.TextChoices):
    """What a member may do in an organization; the permissions of each stand in `accounts.permissions.roles`."""

    OWNER = "owner"
    ADMIN = "admin"
    DEVELOPER = "developer"
    OPERATOR = "operator"
    VIEWER = "viewer"
    BILLING = "billing"
