"""Creates the first staff account of a new site, and prints its random password once."""

import secrets
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from accounts.models import User


class Command(BaseCommand):
    help = "Create a staff account with a random password, unless the site has one already."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--email", default="admin@localhost", help="its address (default: %(default)s)")

    def handle(self, *args: Any, email: str, **options: Any) -> None:
        if User.objects.filter(is_staff=True).exists():
            self.stdout.write("There is a staff account already.")
            return
        password = secrets.token_urlsafe(12)
        user = User.objects.create_superuser(email, password)
        self.stdout.write(f"Staff account: {user.email}   password: {password}   (shown only now)")
