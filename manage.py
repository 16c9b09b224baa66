#!/usr/bin/env python
"""Django's command line: `manage.py help` lists the commands."""

from __future__ import annotations

import sys

from config.env import SettingError, prepare


def main() -> None:
    """Run the command that was named, under this project's settings."""
    prepare()
    from django.core.management import execute_from_command_line  # settings come first

    try:
        execute_from_command_line(sys.argv)
    except SettingError as error:
        sys.exit(f"manage.py: {error}")


if __name__ == "__main__":
    main()
