"""Forged artefacts, made by rule: every field of every artefact, and what must become of each lie.

A forgery is one honest artefact with one thing wrong. What must become of it is written down from
the pages under `docs/reference/formats`, never read off an implementation:

1. Bytes that spell a value in another way than its one spelling are malformed, and so is a field
   that is missing, unknown, there twice, or of another type.
2. A well-formed value other than the honest one is refused, where a signature, a hash, or a copy of
   a signed value covers it.
3. What is well-formed and signed, and still not what the reader asked for, is refused.
4. A question that nobody can answer is usage; a check for which something is missing could not be
   made.
5. An odd spelling that the pages allow is accepted: a reader that refuses everything is no reader.

`corpus` collects them; `verdict` puts one to the Python verifier, `tests/js/verdict.mjs` to the
browser's. `python -m tests.forgeries` prints all as the lines that the latter reads.
"""

from __future__ import annotations
