"""One mutation each: permission, write, audit row, ledger entry, in one transaction."""
