"""Index classes Django lacks."""

from __future__ import annotations

from django.db import models


class LongNameIndex(models.Index):
    """An index whose name may be as long as PostgreSQL allows.

    Django caps names at 30 characters (models.E034) for the sake of other databases; operators were promised longer
    ones.
    """

    max_name_length = 63
