"""What the environment makes of the settings: each case is a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PRINT = (
    "from django.conf import settings as s; print(s.SESSION_COOKIE_SECURE, s.CSRF_COOKIE_SECURE, "
    "s.SECURE_PROXY_SSL_HEADER, s.CSRF_TRUSTED_ORIGINS, s.ALLOWED_HOSTS[3:], s.SITE_IS_LOCAL)"
)


def run(data: Path, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    ours = {"DJANGO_SETTINGS_MODULE": "config.settings", "PYTHONWARNINGS": "ignore"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**kept, **ours, "DATA": str(data), **changes},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_site_behind_https_has_secure_cookies_and_trusts_its_own_forms(tmp_path: Path) -> None:
    site = {"SITE_URL": "https://assay.example/", "SECURE_PROXY_SSL_HEADER": "X-Forwarded-Proto"}
    assert run(tmp_path, "-c", PRINT, **site).stdout.strip() == (
        "True True ('HTTP_X_FORWARDED_PROTO', 'https') ['https://assay.example'] "
        "['assay.example'] False"
    )


def test_the_laptop_needs_no_setting(tmp_path: Path) -> None:
    done = run(tmp_path, "-c", PRINT)
    assert done.stdout.startswith("False False None ['http://127.0.0.1:8000']"), done.stderr
    assert done.stdout.strip().endswith("True")


@pytest.mark.parametrize(
    ("name", "value"),
    [("PORT", "many"), ("PORT", "0"), ("PORT", "65536"), ("SITE_URL", "assay.example")],
)
def test_a_setting_that_cannot_be_is_told_in_one_line(
    name: str, value: str, tmp_path: Path
) -> None:
    done = run(tmp_path, "manage.py", "check", **{name: value})
    assert done.returncode == 1
    assert done.stderr.startswith(f"manage.py: {name} is ")
    assert done.stderr.count("\n") == 1


def test_a_data_folder_that_cannot_be_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = run(tmp_path / "file", "manage.py", "check")
    assert done.returncode == 1
    assert "set DATA to a folder that you can write" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_temporary_folder_too_deep_for_sockets_is_told(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    done = run(tmp_path, "manage.py", "check", TMPDIR=str(deep))
    assert "too long for a socket: set TMPDIR" in done.stderr


def test_the_embedded_servers_serve_this_machine_alone(tmp_path: Path) -> None:
    done = run(tmp_path, "manage.py", "up", SITE_URL="https://assay.example")
    assert done.returncode == 1
    assert "set DATABASE_URL and CELERY_BROKER_URL" in done.stderr
    assert not (tmp_path / "postgres").exists()
