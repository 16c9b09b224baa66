"""What templates need beside Django's own filters: digests, sizes, shapes, times, addresses."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from json import JSONEncoder
from typing import Any

from allauth.account.models import EmailAddress
from django import template
from django.forms import BoundField, CheckboxInput
from django.utils.html import format_html
from django.utils.safestring import SafeString

from ledger import services as ledger

register = template.Library()
# An entry's page, and that of a checkpoint of its log: in the log that the entry is in.
register.simple_tag(ledger.entry_url)
register.simple_tag(ledger.checkpoint_url)


@register.filter
def groups(value: str, width: int) -> list[str]:
    """Return `value` in pieces of `width` characters, so that people can compare them."""
    text = str(value)
    return [text[i : i + width] for i in range(0, len(text), width)]


@register.filter(name="hex")
def to_hex(value: bytes | memoryview | str) -> str:
    """Return bytes as lower-case hex; text stays as it is."""
    return value if isinstance(value, str) else bytes(value).hex()


@register.filter
def filesize(size: int | None) -> str:
    """Return a size in bytes as people read it: `17 B`, `1.4 MB` (powers of 1000)."""
    if size is None:
        return ""
    amount = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{size} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


@register.filter
def seconds(value: float) -> str:
    """Return a duration as people read it: `340 ms`, `2.5 s`, `12 min`, `3.0 h`."""
    if value < 1:
        return f"{value * 1000:.0f} ms"
    if value < 120:
        return f"{value:.1f} s"
    return f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.1f} h"


@register.filter
def shape(dimensions: Sequence[Any] | None) -> str:
    """Return a tensor's shape, unknown dimensions as `?`; a scalar is `scalar`."""
    if dimensions is None:
        return "unknown"
    words = ["?" if d is None or d in (-1, "") else str(d) for d in dimensions]
    return " \N{MULTIPLICATION SIGN} ".join(words) or "scalar"


@register.filter
def plain(value: Any) -> str:
    """Return a value of a card's metadata in words: lists of texts joined, structures as JSON."""
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value) or "none"
    return as_json(value)


@register.filter
def as_json(value: Any) -> str:
    """Return `value` as JSON for a data attribute, which the template escapes."""
    return JSONEncoder(ensure_ascii=False).encode(value)


@register.filter
def rfc3339(moment: datetime) -> str:
    """Return an instant as RFC 3339 in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@register.filter
def is_checkbox(field: BoundField) -> bool:
    """Return whether the field is one box to tick, whose label stands behind it."""
    return isinstance(field.field.widget, CheckboxInput)


@register.simple_tag(takes_context=True)
def current(context: template.Context, prefix: str) -> SafeString:
    """Return the attribute that marks a link to the part of the site that this page is in."""
    request = context.get("request")
    here = request is not None and request.path.startswith(prefix)
    return format_html(' aria-current="{}"', "true") if here else SafeString()


@register.simple_tag(takes_context=True)
def current_page(context: template.Context, address: str) -> SafeString:
    """Return the attribute that marks a link to this very page."""
    request = context.get("request")
    here = request is not None and request.path == address
    return format_html(' aria-current="{}"', "page") if here else SafeString()


@register.simple_tag
def words(pattern: str, *values: object) -> str:
    """Return `pattern` with each `{}` filled in: a sentence for another template."""
    return pattern.format(*values)


@register.filter
def has_confirmed_address(user: Any) -> bool:
    """Say whether an account has an e-mail address that was confirmed by its link."""
    return bool(EmailAddress.objects.filter(user=user, verified=True).exists())
