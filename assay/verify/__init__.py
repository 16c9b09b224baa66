"""Verification in numbered steps: bytes, keys and policy in; a verdict or an error out.

The steps, in this order, each a function of `assay.verify.steps` or `assay.verify.claims`:

1. The caller's question makes sense: a log is trusted, a predicate type and a thing are named.
2. The whole bundle is syntax, the note and checkpoint in it included.
3. It is of the kind taken here: entry, payload type, no key id, the hint is absent or this key's.
4. The key signed the PAE of the payload.
5. The logged body is the one that envelope and key give.
6. The log is known; it and the policy's witnesses signed the checkpoint.
7. The unsigned copies of size, root and index equal the signed ones.
8. The body is the leaf at that index of that tree.
9. The tree and the one that the reader remembers are one history.
10. The statement is strict, and of the type that was asked for.
11. The subject is the reader's file, or the manifest is the reader's folder.
12. The key had the role for it, and had not been revoked at that index: as the key's own
    registration entry says (`assay.verify.registration`), or else the reader's list.
13. (receipts) The execution's predicate agrees with its entry and with the reader's input.
    (aliases) The move agrees with its entry, and is one of the key's owner's models.
14. The proof is as fresh as the policy asks; how far revocations are known (`assay.verify.fresh`).

Nothing here reads a file, the network or a clock. Not checked here: whether the statement is true.
For an execution, `assay.replay` is the check of that.
"""

from __future__ import annotations

from assay.verify.claims import verify_alias, verify_bundle, verify_receipt, verify_tlog_proof
from assay.verify.fresh import Policy
from assay.verify.keys import KeyRing, TrustedKey, parse_keys
from assay.verify.steps import ConsistencySource, Step, Verified

__all__ = [
    "ConsistencySource",
    "KeyRing",
    "Policy",
    "Step",
    "TrustedKey",
    "Verified",
    "parse_keys",
    "verify_alias",
    "verify_bundle",
    "verify_receipt",
    "verify_tlog_proof",
]
