"""What a release looks like in other people's formats: CycloneDX, SPDX, citations.

The bytes of a release's export never change: they are made from rows that never change, in the
RFC 8785 form where the format is JSON. What may change is left out: where an entry stands in the
log, whether a result was proven, whether the release was withdrawn.
"""
