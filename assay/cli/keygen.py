"""`assay keygen`: a publisher's key, made here and kept here."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from assay.cli.keyfile import PassphraseOption, passphrase_from, public_path_of, write_key
from assay.cli.output import Output, exit_codes
from assay.cli.verify import JsonOption
from assay.errors import MisuseError


def keygen(
    *,
    out: Annotated[Path, typer.Option(help="Where the private key is written, mode 0600.")] = Path(
        "key.pem"
    ),
    passphrase: Annotated[
        bool, typer.Option("--passphrase", help="Encrypt it: asks for a passphrase.")
    ] = False,
    passphrase_file: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a signing key. Exit code: 0 made, 2 a file is there already, 3 not written."""
    output = Output(as_json=as_json)
    with exit_codes(output):
        secret = passphrase_from(passphrase_file)
        if passphrase and not secret:
            secret = _ask_twice()
        if passphrase_file is not None and not secret:
            raise MisuseError(f"{passphrase_file} holds no passphrase")
        public = write_key(out, secret)
        output.line("Made an ECDSA P-256 key", style="bold green")
        output.line(f"  fingerprint  {public.fingerprint}")
        output.line(f"  private      {out} ({'encrypted' if secret else 'NOT encrypted'})")
        output.line(f"  public       {public_path_of(out)}")
        output.line("  register it: assay key register, or Signing keys on the site")
        output.json(
            verdict="made",
            fingerprint=public.fingerprint,
            private=str(out),
            public=str(public_path_of(out)),
            encrypted=bool(secret),
        )


def _ask_twice() -> str:
    if not sys.stdin.isatty():
        raise MisuseError("nobody can type here: set ASSAY_PASSPHRASE, or give --passphrase-file")
    secret: str = typer.prompt("Passphrase", hide_input=True, confirmation_prompt=True, err=True)
    return secret
