"""`assay key`: register, rotate and revoke a publisher's key by statements that it signs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from cryptography.hazmat.primitives.asymmetric import ec

from assay.cli.api import Api, RefusedError, part_of
from assay.cli.files import read_file, write_file
from assay.cli.keyfile import KeyFileOption, PassphraseOption, load_key
from assay.cli.output import Output, exit_codes
from assay.cli.tokens import TokenOption, UrlOption, api_for
from assay.cli.verify import JsonOption
from assay.digests import is_sha256
from assay.dsse import Envelope, PublicKey, load_public_key, public_key_of, sign
from assay.errors import MisuseError, UnavailableError, VerificationError
from assay.limits import LIMITS
from assay.statements import (
    KeyPredicate,
    Observed,
    Subject,
    parse_predicate,
    parse_statement,
    render,
)

app = typer.Typer(help="Your keys at a registry.", no_args_is_help=True)
_ROLES = ("publisher", "auditor")
NameOption = Annotated[str, typer.Option(help="What to call it, for people.")]


@app.command()
def register(
    *,
    key: KeyFileOption,
    url: UrlOption,
    owner: Annotated[str, typer.Option(help="Whose key it is: you, or your organisation.")],
    name: NameOption,
    role: Annotated[
        str, typer.Option(help="What it signs: `publisher` releases, `auditor` replays.")
    ] = "publisher",
    token_file: TokenOption = None,
    passphrase_file: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register a key. Exit code: 0 registered, 1 refused, 2 usage, 3 no answer: repeat it."""
    output = Output(as_json=as_json)
    with exit_codes(output):
        if role not in _ROLES:
            raise MisuseError(f"--role {role!r}: a key of your own is of a {' or '.join(_ROLES)}")
        private = load_key(key, passphrase_file)
        api = api_for(url, token_file)
        public = public_key_of(private.public_key())
        statement = _statement(_observed(api), public, owner, "register", role)
        body = {"envelope": sign(statement, private).to_dict(), "name": name}
        made = _post_once(api, "keys", body, public.fingerprint)
        _conclude(output, "registered", made)


@app.command()
def rotate(
    *,
    key: Annotated[Path, typer.Option(help="The old private key, which names the new one.")],
    new: Annotated[Path, typer.Option(help="The new private key, from assay keygen.")],
    url: UrlOption,
    name: NameOption,
    token_file: TokenOption = None,
    passphrase_file: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a new key take a key's place; both sign that. Exit codes as `register`."""
    output = Output(as_json=as_json)
    with exit_codes(output):
        old, private = load_key(key, passphrase_file), load_key(new, passphrase_file)
        api = api_for(url, token_file)
        before = public_key_of(old.public_key()).fingerprint
        known = api.get(f"keys/{before}")
        public = public_key_of(private.public_key())
        statement = _statement(
            _observed(api), public, str(known["owner"]), "supersede", str(known["role"]), before
        )
        body = {
            "envelope": sign(statement, private).to_dict(),
            "previous": sign(statement, old).to_dict(),
            "name": name,
        }
        made = _post_once(api, f"keys/{before}/rotation", body, public.fingerprint)
        _conclude(output, "rotated", made)


@app.command()
def revoke(
    *,
    key: KeyFileOption,
    url: UrlOption,
    reason: Annotated[str, typer.Option(help="Why, for everybody to read.")],
    fingerprint: Annotated[
        str, typer.Option(help="The key to revoke, when it is not --key itself.")
    ] = "",
    token_file: TokenOption = None,
    passphrase_file: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Revoke a key for good; it signs, or another key of its owner. Exit codes as `register`."""
    output = Output(as_json=as_json)
    with exit_codes(output):
        private = load_key(key, passphrase_file)
        api = api_for(url, token_file)
        wanted = fingerprint or public_key_of(private.public_key()).fingerprint
        if not is_sha256(wanted):
            raise MisuseError("a fingerprint is 64 lower-case hex digits")
        known = api.get(f"keys/{part_of(wanted)}")
        public = load_public_key(str(known["public_key"]))
        if public.fingerprint != wanted:
            raise VerificationError(
                "the registry answered another key", expected=wanted, found=public.fingerprint
            )
        statement = _statement(
            _observed(api), public, str(known["owner"]), "revoke", str(known["role"])
        )
        body = {"envelope": sign(statement, private).to_dict(), "reason": reason}
        _conclude(output, "revoked", api.post(f"keys/{wanted}/revocation", body))


@app.command()
def prove(
    statement: Annotated[Path, typer.Argument(help="The statement that the site's page shows.")],
    *,
    key: KeyFileOption,
    out: Annotated[Path, typer.Option(help="Where the signed statement is written.")] = Path(
        "proof.json"
    ),
    passphrase_file: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sign a statement that registers this very key. Exit code: 0 signed, 1 refused, 2 usage."""
    output = Output(as_json=as_json)
    with exit_codes(output):
        private = load_key(key, passphrase_file)
        envelope = _proof(read_file(statement, LIMITS.statement), private)
        try:
            write_file(out.parent, out.name, envelope.to_json())
        except OSError as error:
            raise UnavailableError(f"cannot write {out}: {error.strerror}") from error
        output.line(f"Signed into {out}: paste it into the page", style="bold green")
        output.json(verdict="signed", path=str(out))


def _proof(data: bytes, private: ec.EllipticCurvePrivateKey) -> Envelope:
    """Sign nothing but what a page for keys may ask for: the registration of this key."""
    predicate = parse_predicate(parse_statement(data))
    public = public_key_of(private.public_key())
    if not isinstance(predicate, KeyPredicate) or predicate.action != "register":
        raise VerificationError("the statement registers no key: it is not signed")
    if load_public_key(predicate.public_key) != public:
        raise VerificationError("the statement is about another key than --key")
    return sign(data, private)


def _observed(api: Api) -> Observed:
    head = api.get("ledger/head")
    value = {"origin": head["origin"], "treeSize": head["size"], "rootHash": head["root"]}
    return Observed.from_dict(value, "head")


def _statement(
    observed: Observed,
    key: PublicKey,
    owner: str,
    action: str,
    role: str = "publisher",
    previous: str | None = None,
) -> bytes:
    predicate = KeyPredicate(
        observed=observed,
        action=action,
        owner=owner,
        role=role,
        public_key=key.pem,
        previous=previous,
    )
    return render(predicate.statement([Subject(name="", sha256=key.fingerprint)]))


def _post_once(api: Api, path: str, body: Any, fingerprint: str) -> Any:
    """Send what makes the key; when an earlier attempt made it and its answer was lost, find it."""
    try:
        return api.post(path, body)
    except RefusedError as error:
        found = api.find(f"keys/{fingerprint}") if error.code == "replayed_signature" else None
        if found is None:
            raise
        return found


def _conclude(output: Output, verdict: str, made: Any) -> None:
    output.line(f"{verdict.capitalize()}: {made['fingerprint']}", style="bold green")
    output.line(f"  owner {made['owner']}, state {made['state']}, name {made['name']}")
    output.json(verdict=verdict, key=made)
