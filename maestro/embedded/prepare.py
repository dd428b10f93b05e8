"""`python -m maestro.embedded.prepare`: migrate the database and make the first organization, in one process."""

from __future__ import annotations

import os
from pathlib import Path

import django
from django.core.management import call_command

from maestro.embedded.home import Home

ADMIN_EMAIL = "admin@localhost.localdomain"


def main() -> None:
    """Migrate, then create what nobody can sign in without; both do nothing when there is nothing to do."""
    home = Home(Path(os.environ["MAESTRO_HOME"]))
    django.setup()
    call_command("migrate", interactive=False)
    call_command(
        "create_first_organization",
        email=ADMIN_EMAIL,
        api_key_file=home.api_key,
        password_file=home.admin_password,
    )


if __name__ == "__main__":
    main()
