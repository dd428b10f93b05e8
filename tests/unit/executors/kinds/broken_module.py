"""A module that cannot be imported."""

import there_is_no_such_package  # type: ignore[import-not-found]  # noqa: F401
