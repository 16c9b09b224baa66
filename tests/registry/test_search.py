"""What is found: by words of names and cards, by facets, and never by somebody it is not for."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.management import call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from registry import finding, listing
from registry.choices import Visibility
from registry.finding import Filters
from registry.models import Model, Owner, SearchDocument
from registry.services import releases, revisions, search
from tests import builders
from tests.flush import triggers_off
from tests.people import Person
from tests.registry.searching import count_of, names, publish

LONG = "wordy " * 20_000
HOSTILE = (
    *("%", "_", "%%%", "alice%", "a_ice", "\\", "'", "''", '"', "';--", "$$", "{}", "%s", "%(x)s"),
    *("!", "&", "|", "!alice", "a & | b", ":*", "alice:*A", "<->", "((", "a <2> b", "!!!", "..."),
    *("\0", "ali\0ce", "\ud800", "\u200b", "🦊", "\x7f", "\r\n", "\U0001d518\U0001d52b" * 60),
    *(LONG, "x" * 100_000, "' " * 5_000, "é" * 500, "a-b_c.d/e" * 100),
)


def documents() -> list[Any]:
    columns = ("model_id", "revision_id", "release_id", "full_name", "size", "facets", "document")
    return list(SearchDocument.objects.order_by("pk").values_list(*columns))


# ------------------------------------------------------------------ words


def test_a_name_is_found_by_its_parts_and_their_beginnings(alice: Person) -> None:
    publish(alice, "ResNet-50v2")
    for typed in (
        *("resnet", "ResNet-50", "resnet50", "resnet 50", "res", "r", "net", "re", "50v2", "v2"),
        *("alice resnet", "alice/ResNet-50v2", "ali"),
    ):
        assert names(typed) == ["ResNet-50v2"], typed
    for typed in ("esnet", "resnet 51", "bob resnet"):
        assert names(typed) == [], typed


def test_a_name_in_camel_case_is_found_by_its_humps(alice: Person) -> None:
    publish(alice, "BERTBase.uncased_L12")
    for typed in ("bert", "base", "uncased", "l12", "bertbase", "BertBase", "12"):
        assert names(typed) == ["BERTBase.uncased_L12"], typed


def test_the_words_of_the_card_its_facts_and_its_text_are_found(alice: Person) -> None:
    publish(
        alice,
        "plain",
        "# Title\n\nTrained on **orchids**, by hand.\n",
        facts={
            "operators": {"Conv": 3, "MaxPool": 1},
            "inputs": [{"name": "pixel_values", "datatype": "FP16", "shape": [1]}],
            "outputs": [{"name": "logits", "datatype": "FP32", "shape": [1]}],
        },
        pipeline_tag="image-classification",
        license="apache-2.0",
        library_name="timm",
        language="[de, fr]",
        tags="[botany, vision]",
        datasets="flowers-102",
    )
    for typed in (
        *("orchids", "Orchid", "image-classification", "image class", "apache", "apache-2.0"),
        *("timm", "botany", "conv", "MaxPool", "pixel_values", "fp16", "logits", "flowers 102"),
        "vision orchids conv",
    ):
        assert names(typed) == ["plain"], typed
    for typed in ("roses", "orchids roses", "mit"):
        assert names(typed) == [], typed


def test_words_are_found_whatever_their_accents_case_and_script(alice: Person) -> None:
    publish(
        alice,
        "world",
        "Modèle entraîné à Zürich. МОДЕЛЬ языка. 中文图像分类模型。\uff46\uff55ll \ufb01ne",
    )
    for typed in (
        *("modele", "MODÈLE", "entraine", "zurich", "Zürich", "модель", "ЯЗЫКА", "图像", "模型"),
        *("full", "fine", "Mode\u0300le"),
    ):
        assert names(typed) == ["world"], typed
    assert names("像图片") == []


def test_mallory_types_signs_and_nothing_breaks(alice: Person) -> None:
    publish(alice, "double")
    for typed in HOSTILE:
        assert names(typed) in ([], ["double"]), typed
        assert names(typed, operators=("add", "%", "'")) == [], typed


def test_signs_of_a_query_language_mean_nothing(alice: Person) -> None:
    publish(alice, "double")
    publish(alice, "other")
    assert names("!double") == ["double"]
    assert names("double | other") == []
    assert names("doub%") == ["double"]
    assert names("d_uble") == []
    assert names("double:*B") == []
    assert names(f"double {LONG}"[:205]) == []


def test_a_card_of_a_quarter_megabyte_can_be_published_and_found(alice: Person) -> None:
    many = " ".join(f"w{number:x}" for number in range(38_000))
    publish(alice, "long", f"first {many}")
    assert names("first") == ["long"]
    assert names("long w1f") == ["long"]


def test_a_card_with_more_words_than_a_document_holds_is_found_by_its_name(alice: Person) -> None:
    # Each of these is one character of 4 bytes that decomposes into several: no place for all.
    many = " ".join(f"\ufdfa{number:x}" for number in range(9_000))
    publish(alice, "heavy", f"first {many}", license="mit")
    assert names("heavy") == ["heavy"]
    assert names(facets=(("license", "mit"),)) == ["heavy"]


# ------------------------------------------------------------------ relevance


def test_the_name_counts_more_than_a_tag_and_a_tag_more_than_the_text(alice: Person) -> None:
    publish(alice, "third", "All about orchid and more.")
    publish(alice, "second", tags="[orchid]")
    publish(alice, "my-orchid-model")
    publish(alice, "orchid")
    assert names("orchid") == ["orchid", "my-orchid-model", "second", "third"]


def test_pages_by_relevance_follow_each_other(alice: Person) -> None:
    for number in range(7):
        publish(alice, f"m{number}", "orchid " * number + "orchid")
    wanted = Filters(text="orchid")
    seen: list[str] = []
    cursor = ""
    while True:
        page = listing.listing(None, wanted, sort="relevance", cursor=cursor, limit=3)
        seen += [item.model.name for item in page.items]
        cursor = page.next
        if not cursor:
            break
    assert seen == names("orchid")
    assert len(seen) == 7


# ------------------------------------------------------------------ kept by the transaction


def test_a_withdrawn_release_gives_way_to_the_one_before(alice: Person) -> None:
    model = publish(alice, "double", "old words")
    files = {"model.onnx": builders.ONNX, "README.md": b"---\nlicense: mit\n---\nnewer words"}
    revision = builders.make_revision(alice, model, files)
    assert names("newer") == []  # nobody signed it
    builders.publish_release(alice, revision, version="2.0.0")
    assert (names("newer"), names("old")) == (["double"], [])
    releases.yank(alice.user, model, "2.0.0", reason="wrong")
    assert (names("newer"), names("old")) == ([], ["double"])


def test_what_was_not_inspected_is_not_found_by_its_card(alice: Person) -> None:
    model = builders.make_model(alice, "waiting")
    files = {"model.onnx": builders.ONNX, "README.md": b"confidential words"}
    revision = builders.make_revision(alice, model, files, report=None)
    assert (names("confidential"), names("waiting")) == ([], ["waiting"])
    assert names("waiting", released=True) == []
    revisions.record_inspection(revision.pk, {**builders.REPORT, "verdict": "failed"})
    assert names("confidential", alice.user) == []


def test_a_draft_is_found_by_its_newest_revision_that_passed(alice: Person) -> None:
    model = builders.make_model(alice, "draft")
    builders.make_revision(alice, model, {"model.onnx": builders.ONNX, "README.md": b"passed one"})
    changed = builders.ONNX + b"\x00"
    builders.make_revision(
        alice, model, {"model.onnx": changed, "README.md": b"waits now"}, report=None
    )
    assert (names("passed"), names("waits")) == (["draft"], [])


def test_a_document_follows_name_owner_and_deletion(alice: Person, bob: Person) -> None:
    model = publish(alice, "double")
    Model.objects.filter(pk=model.pk).update(owner=bob.owner)
    assert (names("alice"), names("bob double")) == ([], ["double"])
    Owner.objects.filter(pk=bob.owner.pk).update(name="robert")
    assert names("robert double") == ["double"]
    Model.objects.filter(pk=model.pk).update(deleted_at=model.updated_at)
    assert names("double") == []
    assert not SearchDocument.objects.exists()


def test_a_change_that_is_rolled_back_is_not_found(alice: Person) -> None:
    model = publish(alice, "double")
    before = documents()
    with transaction.atomic():
        releases.yank(alice.user, model, "1.0.0", reason="wrong")
        assert documents() != before
        transaction.set_rollback(True)
    assert documents() == before


def test_everything_can_be_made_again(alice: Person, bob: Person) -> None:
    publish(alice, "one", tags="[a, b]")
    publish(bob, "two", "words")
    gone = publish(bob, "gone")
    Model.objects.filter(pk=gone.pk).update(deleted_at=gone.updated_at)
    before = documents()
    with triggers_off():
        SearchDocument.objects.all().delete()
    assert (names("one"), search.lost()) == ([], 2)
    out = io.StringIO()
    call_command("search_rebuild", stdout=out)
    assert out.getvalue() == "3 models, of which 2 could not be found before\n"
    assert documents() == before
    call_command("search_rebuild", stdout=out)
    assert (documents(), search.lost()) == (before, 0)


def test_a_rebuild_tells_how_far_it_is(alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "c"):
        builders.make_model(alice, name)
    monkeypatch.setattr(search, "BATCH", 2)
    told: list[int] = []
    assert search.rebuild(told.append) == 3
    assert told == [2, 3]


# ------------------------------------------------------------------ facets


def test_the_number_beside_a_filter_is_what_it_leads_to(alice: Person, bob: Person) -> None:
    publish(alice, "a", license="mit", pipeline_tag="translation", tags="[x, y]")
    publish(alice, "b", license="mit", pipeline_tag="summarization", language="de", tags="[x]")
    publish(bob, "c", license="apache-2.0", library_name="timm", facts={"opsets": {"ai.onnx": 13}})
    publish(bob, "d", files={"big.bin": b"0" * 2_000_000})
    for chosen in ((), (("license", "mit"),), (("tag", "x"), ("license", "mit"))):
        wanted = Filters(facets=chosen)
        counts = finding.count(listing.matches(None, wanted))
        assert set(counts.facets) == set(finding.FACETS)
        for kind, found in counts.facets.items():
            assert found or kind == "library", kind
            for one in found:
                assert one.count == len(names(facets=(*chosen, (kind, one.value)))), one
    assert count_of("license", "mit") == 2
    assert count_of("signer", str(Model.objects.get(name="c").releases.get().key_id)) == 2
    assert [one.value for one in counts.facets["runnable"]] == ["yes"]
    assert count_of("size", "2-to-10-mb") == 1


def test_a_model_without_a_graph_is_not_runnable(alice: Person) -> None:
    model = builders.make_model(alice, "weights")
    tree = {"weights.safetensors": b"\x02\0\0\0\0\0\0\0{}", "README.md": builders.CARD}
    builders.publish_release(alice, builders.make_revision(alice, model, tree, report=None))
    assert names(facets=(("runnable", "no"),)) == ["weights"]
    assert names(facets=(("runnable", "yes"),)) == []


def test_operators_are_a_filter(alice: Person) -> None:
    publish(alice, "conv", facts={"operators": {"Conv": 1, "Add": 2}})
    publish(alice, "gemm", facts={"operators": {"Gemm": 1, "Add": 2}})
    assert names(operators=("conv",)) == ["conv"]
    assert sorted(names(operators=("add",))) == ["conv", "gemm"]
    assert names(operators=("add", "conv")) == ["conv"]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ('"one"', ["one"]),
        ('["a", 7, ["n"], {"b": 1}, null, true, ""]', ["a", "7", ""]),
        *((shape, []) for shape in ("null", "3", "true", '{"a": "b"}')),
    ],
)
def test_metadata_of_any_shape_makes_no_error(db: None, value: str, found: list[str]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT registry_search_strings(%s::jsonb)", [value])
        assert cursor.fetchone() == (found,)
        cursor.execute("SELECT registry_search_labels('tag', %s::text[])", [[*found, " A ", None]])
        labels = {f"tag:{word}" for word in [*found, "a"] if word}
        assert set(cursor.fetchone()[0]) == labels


def test_odd_facts_make_no_error(alice: Person) -> None:
    odd: dict[str, Any] = {"operators": ["Conv"], "inputs": "x", "outputs": [1], "opsets": None}
    publish(alice, "odd", facts=odd)
    assert names("odd") == ["odd"]


def test_of_very_many_matches_the_counts_are_of_so_many(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b", "c"):
        publish(alice, name, license="mit")
    monkeypatch.setattr(finding, "COUNTED", 2)
    counts = finding.count(listing.matches(None, Filters()))
    assert (counts.total, counts.more) == (2, True)
    assert [one.count for one in counts.facets["license"]] == [2]


def test_only_the_commonest_values_are_shown(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(alice, "a", tags="[x, y, z]")
    publish(alice, "b", tags="[z, y]")
    monkeypatch.setattr(finding, "SHOWN_VALUES", 2)
    counts = finding.count(listing.matches(None, Filters()))
    assert [(one.value, one.count) for one in counts.facets["tag"]] == [("y", 2), ("z", 2)]


# ------------------------------------------------------------------ who may know


def test_mallory_finds_nothing_private_by_no_way(alice: Person, mallory: Person) -> None:
    publish(alice, "open", license="mit")
    publish(
        alice,
        "secretive",
        "hidden words",
        visibility=Visibility.PRIVATE,
        license="gpl-3.0",
        tags="[covert]",
        pipeline_tag="translation",
    )
    for user in (None, AnonymousUser(), mallory.user):
        for text in ("secretive", "s", "se", "hidden", "covert", "gpl", "alice secretive"):
            assert "secretive" not in names(text, user), text
        assert names("", user) == ["open"]
        assert names("", user, sort="name") == ["open"]
        assert names("", user, sort="verified") == ["open"]
        assert names("", user, facets=(("tag", "covert"),)) == []
        for kind, value in (("tag", "covert"), ("license", "gpl-3.0"), ("task", "translation")):
            assert count_of(kind, value, user) == 0
        assert count_of("license", "mit", user) == 1
    assert names("covert", alice.user) == ["secretive"]
    assert count_of("tag", "covert", alice.user) == 1


def test_what_is_private_takes_no_place_among_the_candidates(
    alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(bob, "old", "orchid")
    for number in range(4):
        publish(alice, f"orchid{number}", "orchid", visibility=Visibility.PRIVATE)
    monkeypatch.setattr(finding, "CANDIDATES", {"exact": 2, "named": 2, "newest": 2})
    monkeypatch.setattr(finding, "COUNTED", 2)
    assert names("orchid", bob.user) == ["old"]


def test_a_search_asks_the_same_whether_something_private_matches_or_not(
    alice: Person, mallory: Person
) -> None:
    publish(alice, "open")
    publish(alice, "secretive", visibility=Visibility.PRIVATE)
    asked = []
    for text in ("secretive", "nothinglike"):
        with CaptureQueriesContext(connection) as queries:
            assert names(text, mallory.user) == []
        asked.append([one["sql"].replace(text, "WORD") for one in queries.captured_queries])
    assert asked[0] == asked[1]


def test_gated_models_are_listed_and_found(alice: Person, mallory: Person) -> None:
    publish(alice, "gated-one", "words", visibility=Visibility.GATED, license="mit")
    assert names("words", mallory.user) == ["gated-one"]
    assert count_of("license", "mit") == 1
