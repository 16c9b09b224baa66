#!/usr/bin/env python
"""Django's command line: `manage.py help` lists the commands."""

from __future__ import annotations

import sys

from config.env import SettingError, prepare


def main() -> None:
    """Run the command that was named, under this project's settings."""
    prepare()
    # The settings come first.
    from django.core.management import execute_from_command_line
    from django.db import OperationalError, ProgrammingError

    try:
        execute_from_command_line(sys.argv)
    except SettingError as error:
        sys.exit(f"manage.py: {error}")
    except OperationalError as error:
        sys.exit(f"manage.py: the database does not answer: {error}")
    except ProgrammingError as error:
        if type(error.__cause__).__name__ != "UndefinedTable":
            raise
        sys.exit("manage.py: the database has none of our tables: run `manage.py migrate` first")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
