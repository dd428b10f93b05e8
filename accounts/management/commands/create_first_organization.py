"""`manage.py create_first_organization`: what a new installation needs before anybody can sign in."""

from __future__ import annotations

import os
import secrets
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction

from accounts import services


class Command(BaseCommand):
    """Create the first organization, its administrator and an API key; does nothing when an organization exists."""

    help = "Create the first organization, an administrator with a generated password, and an API key."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the flags."""
        parser.add_argument("--slug", default="default", help="the organization's short name (default: default)")
        parser.add_argument("--email", default="admin@localhost.localdomain", help="the administrator's login")
        parser.add_argument("--api-key-file", type=Path, required=True, help="where the API key is written, mode 0600")
        parser.add_argument(
            "--password-file", type=Path, required=True, help="where the password is written, mode 0600"
        )

    def handle(self, **options: Any) -> None:
        """Create, then write the two files; the secrets themselves are never printed."""
        password = secrets.token_urlsafe(18)
        # The files are written before the commit: a process that dies in between leaves nothing that cannot be made
        # again.
        with transaction.atomic():
            created = services.create_first_organization(
                slug=options["slug"], email=options["email"], password=password
            )
            if created is None:
                self.stdout.write("An organization exists: nothing to do.")
                return
            _write_private(options["api_key_file"], created.key)
            _write_private(options["password_file"], password)
        self.stdout.write(f"Created organization {options['slug']} with administrator {created.email}.")


def _write_private(path: Path, secret: str) -> None:
    """Write a secret to a file only its owner may read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(secret + "\n")
