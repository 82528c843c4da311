#!/usr/bin/env python
"""Django's command line."""

import os
import sys


def main() -> None:
    """Run one management command; a database that is not there is told in one line with the mend."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    # One command at a time: a pool would only turn "connection refused" into a wait for the pool's timeout.
    if sys.argv[1:2] != ["show_config"]:  # which shows what the others are configured with
        os.environ.setdefault("ATTRACTOR__DATABASE__POOL", "false")
    try:
        from django.core.management import execute_from_command_line
    except ImportError:
        sys.exit("Django is not installed in this Python. Run `make install` and use .venv/bin/python manage.py.")
    from django.db import OperationalError

    try:
        execute_from_command_line(sys.argv)
    except OperationalError as error:
        sys.exit(
            f"The database cannot be used: {error}\n"
            "Start it with `make run`, or give this command servers of its own: "
            f"python -m config.launch exec -- python manage.py {' '.join(sys.argv[1:])}"
        )


if __name__ == "__main__":
    main()
