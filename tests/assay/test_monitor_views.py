"""Two views of one log, compared by tiles; and the statements that somebody watches for."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, strategies as st

from assay.dsse import Envelope
from assay.errors import MisuseError, SplitViewError, VerificationError
from assay.monitor import ALARM, NEWS, WARNING, Finding, ForkError, Watch, compare
from assay.splitview import check_split_view, parse_split_view
from assay.statements import ReleasePredicate, Statement, parse_statement
from tests.assay.logbook import (
    ALICE,
    BOB,
    MALLORY,
    OBSERVED,
    REVISION,
    Logbook,
    fingerprint,
)
from tests.assay.views import LOG, Leaves, numbered, view

MODEL = "alice/digits"


def test_views_of_one_history_agree_in_either_order() -> None:
    leaves = numbered(9)
    for size in range(10):
        compare(view(leaves[:size]), view(leaves), Leaves(leaves))
        compare(view(leaves), view(leaves[:size]), Leaves(leaves))


def test_two_trees_of_one_size_need_no_tiles_to_be_a_fork() -> None:
    one, other = view(numbered(4)), view(numbered(4, b"other "))
    with pytest.raises(ForkError) as caught:
        compare(one, other, Leaves([]))
    assert (caught.value.first, caught.value.second) == (one.note, other.note)
    assert isinstance(caught.value, SplitViewError)
    assert "two trees of 4 leaves" in check_split_view(caught.value.evidence, LOG)


def test_a_fork_that_grew_is_told_with_evidence_for_strangers() -> None:
    leaves = numbered(11)
    for one, other in (
        (view(numbered(6, b"other ")), view(leaves)),
        (view(leaves), view(numbered(6, b"other "))),
    ):
        with pytest.raises(ForkError, match="does not begin with") as caught:
            compare(one, other, Leaves(leaves))
        evidence = parse_split_view(caught.value.evidence.render())
        assert "leaves whose first 6 have" in check_split_view(evidence, LOG)


def test_tiles_of_another_tree_accuse_nobody() -> None:
    with pytest.raises(VerificationError, match="not those of the tree of 11 leaves") as caught:
        compare(view(numbered(6)), view(numbered(11)), Leaves(numbered(11, b"other ")))
    assert not isinstance(caught.value, SplitViewError)


def test_views_of_two_logs_cannot_be_compared() -> None:
    with pytest.raises(MisuseError, match="two logs"):
        compare(view([]), view([], origin="other.example.org"), Leaves([]))


@pytest.mark.property
@given(st.integers(0, 40), st.integers(0, 40), st.sets(st.integers(0, 39)))
def test_a_fork_is_found_exactly_where_there_is_one(one: int, other: int, bent: set[int]) -> None:
    """The log bends some leaves of the tree that it shows to one of two people."""
    leaves = numbered(max(one, other))
    smaller = [
        leaf if at not in bent else numbered(1, b"bent")[0] for at, leaf in enumerate(leaves)
    ][: min(one, other)]
    if smaller == leaves[: len(smaller)]:
        compare(view(smaller), view(leaves), Leaves(leaves))
        return
    with pytest.raises(ForkError) as caught:
        compare(view(smaller), view(leaves), Leaves(leaves))
    assert check_split_view(caught.value.evidence, LOG).startswith(LOG.name)


def entry(
    envelope: Envelope, key: ec.EllipticCurvePrivateKey, index: int = 7
) -> tuple[int, Statement, str]:
    """What a monitor knows of an entry once it was checked."""
    return index, parse_statement(envelope.payload), fingerprint(key)


def release() -> ReleasePredicate:
    return ReleasePredicate(
        observed=OBSERVED,
        model=MODEL,
        revision=REVISION,
        version="1.0",
        manifest="ab" * 32,
        card="cd" * 32,
        license="MIT",
        previous=None,
    )


def watching(
    *, keys: tuple[str, ...] = (), models: tuple[str, ...] = (), owners: tuple[str, ...] = ()
) -> Watch:
    return Watch(keys=frozenset(keys), models=frozenset(models), owners=frozenset(owners))


def test_alice_hears_of_a_release_of_her_model() -> None:
    logged = entry(Logbook().state(release()), ALICE)
    for watch, watched in (
        (watching(models=(MODEL,)), (f"model {MODEL}",)),
        (watching(owners=("alice",)), ("owner alice",)),
        (watching(keys=(fingerprint(ALICE),)), (f"key {fingerprint(ALICE)}",)),
    ):
        assert watch.find(*logged) == Finding(
            index=7,
            level=NEWS,
            predicate_type="urn:assay:release:v1",
            about=MODEL,
            action="1.0",
            signer=fingerprint(ALICE),
            watched=watched,
        )


def test_nobody_hears_of_what_nobody_watches() -> None:
    logged = entry(Logbook().state(release()), ALICE)
    for watch in (
        Watch(),
        watching(models=("alice/digit", "alice/digits2"), owners=("alic", "digits", "Alice")),
        watching(keys=(fingerprint(BOB),)),
    ):
        assert watch.find(*logged) is None


def test_mallory_may_not_release_in_a_watched_name_unnoticed() -> None:
    logged = entry(Logbook().state(release(), MALLORY), MALLORY)
    watch = watching(keys=(fingerprint(ALICE),), models=(MODEL,))
    found = watch.find(*logged)
    assert found is not None
    assert (found.level, found.signer) == (WARNING, fingerprint(MALLORY))
    found = watching(models=(MODEL,)).find(*logged)
    assert found is not None
    assert found.level == NEWS


def test_a_key_that_appears_under_a_watched_owner_is_an_alarm() -> None:
    logged = entry(Logbook().register(MALLORY, "alice"), MALLORY)
    found = watching(owners=("alice",)).find(*logged)
    assert found is not None
    assert found.level == ALARM
    assert found.about == "alice"
    assert found.action == f"register publisher key {fingerprint(MALLORY)}"
    assert watching(owners=("bob",)).find(*logged) is None


def test_a_statement_about_a_watched_key_is_an_alarm_whoever_signed_it() -> None:
    revoked = entry(Logbook().register(ALICE, "somebody", "revoke"), MALLORY)
    found = watching(keys=(fingerprint(ALICE),)).find(*revoked)
    assert found is not None
    assert found.level == ALARM
    assert found.watched == (f"key {fingerprint(ALICE)}",)


def test_what_the_registry_does_to_a_watched_model_is_news() -> None:
    hidden = entry(Logbook().moderate(MODEL), BOB)
    found = watching(models=(MODEL,), keys=(fingerprint(ALICE),)).find(*hidden)
    assert found is not None
    assert (found.level, found.about, found.action) == (NEWS, MODEL, "hide")
    found = watching(owners=("alice",)).find(*hidden)
    assert found is not None
    assert found.watched == ("owner alice",)


def test_what_the_registry_does_to_a_watched_key_is_an_alarm() -> None:
    suspended = entry(Logbook().moderate("", "suspend", sha256=fingerprint(ALICE)), BOB)
    found = watching(keys=(fingerprint(ALICE),)).find(*suspended)
    assert found is not None
    assert (found.level, found.about, found.action) == (ALARM, fingerprint(ALICE), "suspend")
    assert found.watched == (f"key {fingerprint(ALICE)}",)


def test_a_statement_of_another_kind_is_found_by_its_key() -> None:
    payload = (
        b'{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"","digest":'
        b'{"sha256":"%b"}}],"predicateType":"urn:other","predicate":{"model":1}}' % (b"ab" * 32)
    )
    found = watching(keys=(fingerprint(ALICE),)).find(*entry(Logbook().add(payload), ALICE))
    assert found is not None
    assert (found.about, found.action, found.level) == ("ab" * 32, "", NEWS)
