#!/usr/bin/env python
"""Django's command line: `manage.py help` lists the commands."""

from __future__ import annotations

import sys

from config.env import prepare


def main() -> None:
    """Run the command that was named, under this project's settings."""
    prepare()
    from django.core.management import execute_from_command_line  # settings come first

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
