"""sigstore-models, the parser of Sigstore's Python client, reads what we hand out."""

from __future__ import annotations

import pytest
from sigstore_models.bundle import v1 as bundles
from sigstore_models.trustroot import v1 as roots

from ledger import services as ledger
from tests.ledger.builders import append_all, sequence
from tests.ledger.witness import Witness

pytestmark = [pytest.mark.stock, pytest.mark.django_db]


def test_the_stock_parser_reads_each_of_our_documents(wanda: Witness) -> None:
    _, *others = append_all(range(3))  # it reads no entry of index 0, which cosign leaves out
    sequence()
    for index, entry in enumerate(others, start=1):
        read = bundles.Bundle.from_json(ledger.receipt(entry))
        (logged,) = read.verification_material.tlog_entries
        assert (logged.log_index, logged.kind_version.version) == (index, "0.0.2")
        assert logged.inclusion_proof.tree_size == 3
    (log,) = roots.TrustedRoot.from_json(ledger.trusted_root()).tlogs
    (service,) = roots.SigningConfig.from_json(ledger.signing_config()).rekor_tlog_urls
    assert log.base_url == service.url
    assert service.major_api_version == 2
