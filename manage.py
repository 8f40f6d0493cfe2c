#!/usr/bin/env python
"""Django's command line."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import execute_from_command_line
        from django.db.utils import OperationalError, ProgrammingError
    except ImportError as error:
        raise SystemExit(
            "Django is not installed in this Python. Run `make setup`, then use `.venv/bin/python manage.py`."
        ) from error
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        raise SystemExit(f"Hindsight cannot start: {error}") from None
    except (OperationalError, ProgrammingError) as error:
        if "--traceback" in sys.argv:
            raise
        reason = " ".join(str(error).split())
        if "database is locked" in reason:
            raise SystemExit(
                "The database is held by another process that writes to it, for longer than anyone waits here. "
                "Try again when it has ended, or end it."
            ) from None
        raise SystemExit(
            f"The database does not answer as it should: {reason}. Is it there, and up to date (`make setup`)? "
            "--traceback tells more."
        ) from None


if __name__ == "__main__":
    main()
