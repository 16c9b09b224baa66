"""The executor: runs models in jailed processes, hashes what went in and out, and signs.

`supervisor` parts (everything outside `portable/` and `inspect/`) hold the key and never parse a
model; what parses or runs one holds no key, no database connection and no network. Configuration
is the command line; nothing here knows Django.
"""

from __future__ import annotations
