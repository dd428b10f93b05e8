"""The admin of accounts, and what the admins of all apps stand on (`base`, `paginator`)."""

from accounts.admin import api_keys, people

__all__ = ["api_keys", "people"]
