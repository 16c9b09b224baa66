"""/verify/ in a browser: a true receipt turns every step green, each lie turns its own step red."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from assay.note import VKey
from assay.splitview import check_split_view, parse_split_view
from tests.e2e import lies
from tests.e2e.lies import Lie, in_receipt, tell
from tests.e2e.readers import NUMBERED, STEPS, Reader, Told, ask, grow, run_wine
from tests.e2e.stack import Stack
from tests.e2e.test_accessibility import complaints, new_page

pytestmark = pytest.mark.browser


# ------------------------------------------------------------------ the truth


def test_a_true_receipt_turns_every_step_green(reader: Reader, told: Told) -> None:
    page = reader.page
    reader.visit(told)
    reader.all_stand(["A", "B", *NUMBERED], "passed")
    reader.verdict("verified")
    expect(page.get_by_text(re.compile(r"fetches: model .*, runtime \d\.\d MB"))).to_be_visible()
    reader.rerun()
    reader.all_stand(STEPS, "passed")
    expect(page.locator("[data-verdict]")).to_contain_text("gave the same bits")
    reader.shoot("true")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save as JSON").click()
    certificate = json.loads(Path(saved.value.path()).read_text())
    assert certificate["verdict"] == "verified"
    assert [step["step"] for step in certificate["steps"]] == STEPS
    assert {step["state"] for step in certificate["steps"]} == {"passed"}
    assert certificate["claim"]["execution"]["execution"] == told.execution
    assert certificate["claim"]["registered"] is True


def test_the_second_visit_compares_with_the_first(reader: Reader, told: Told, stack: Stack) -> None:
    reader.visit(told)
    reader.stands("B", "passed", "the first that this browser sees")
    grow(stack)
    reader.visit(told)
    reader.stands("B", "passed", re.compile(r"continues the \d+ leaves seen on"))
    reader.stands("9", "passed", re.compile(r"\d+ to \d+ leaves"))
    reader.verdict("verified")


def test_a_stranger_drops_files_and_needs_no_mouse(reader: Reader, told: Told) -> None:
    page = reader.page
    page.goto("/verify/")
    reader.drop(*told.files)
    reader.stands("A", "passed", "your file")
    reader.all_stand(NUMBERED, "passed")
    expect(page.locator("#handed li")).to_have_count(len(told.files))
    button = page.locator("#run-again")
    button.focus()
    page.keyboard.press("Enter")
    reader.all_stand(STEPS, "passed")
    expect(button).to_be_focused()
    page.get_by_role("button", name="Start over").click()
    expect(page.locator("#result")).to_be_hidden()
    expect(page.locator("#handed li")).to_have_count(0)


def test_every_claim_of_the_ledger_can_be_followed(reader: Reader, told: Told) -> None:
    """The registration of a key, and a release: no answer, so nothing to run again."""
    page = reader.page
    release = "/models/examples/wine/releases/1.0.0/"
    for path in ("/ledger/0/bundle", f"{release}release.sigstore.json", f"{release}model.sig"):
        page.goto(f"/verify/?receipt={path}")
        reader.ended()
        reader.verdict("verified")
        reader.all_stand([step for step in NUMBERED if step != "13"], "passed")
        reader.stands("13", "skipped", "does not apply")
        reader.stands("15", "skipped", "only an execution")


# ------------------------------------------------------------------ lies


RECEIPT = "**/receipt?wait=20"
KEYS = "**/.well-known/assay/keys.json"
LIES = {
    "the receipt is cut off": Lie(
        address=RECEIPT, alter=lies.cut, step="2", words="JSON", values=False
    ),
    "the signed statement names another answer": Lie(
        address=RECEIPT,
        alter=in_receipt(lies.other_answer),
        step="4",
        words="signature",
        values=False,
    ),
    "the log holds another claim": Lie(
        address=RECEIPT, alter=in_receipt(lies.other_body), step="5", words="logged body"
    ),
    "no witness saw the tree": Lie(
        address=RECEIPT, alter=in_receipt(lies.no_witness), step="6", words="quorum"
    ),
    "the index is another": Lie(
        address=RECEIPT, alter=in_receipt(lies.other_index), step="7", words="unsigned index"
    ),
    "the entry is not in the tree": Lie(
        address=RECEIPT, alter=in_receipt(lies.other_path), step="8", words="another root"
    ),
    "the output shown is another": Lie(
        address="**/output.tensors", alter=lies.last_byte, step="11", words="the output is another"
    ),
    "a publisher's key signs as an executor": Lie(
        address=KEYS, alter=lies.as_publisher, step="12", words="another role"
    ),
    "the input shown is another": Lie(
        address="**/input.tensors", alter=lies.last_byte, step="13", words="the input is another"
    ),
    "the log has another key than before": Lie(
        address="**/trusted_root.json",
        alter=lies.other_log_key,
        step="A",
        words="another key of the log",
        later=True,
    ),
    "the witnesses are dropped": Lie(
        address="**/witness-policy.txt",
        alter=lies.other_policy,
        step="A",
        words="another witness policy",
        later=True,
    ),
    "a key is taken back": Lie(
        address=KEYS, alter=lies.without_auditor, step="A", words="takes back", later=True
    ),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_a_lie_turns_its_step_red(reader: Reader, told: Told, lie: Lie) -> None:
    page = reader.page
    if lie.later:
        reader.visit(told)
    tell(page, lie)
    reader.visit(told)
    reader.refused(lie.step, lie.words, values=lie.values)
    before = STEPS[: STEPS.index(lie.step)]
    reader.all_stand(before, "passed")
    reader.stands("17", "skipped")


def test_an_older_tree_is_a_rollback(reader: Reader, told: Told) -> None:
    page = reader.page
    reader.visit(told)
    answer = lies.always(told.earlier)
    tell(page, Lie(address="**/log/checkpoint", alter=answer, step="B", words=""))
    reader.visit(told)
    reader.refused("B", "the tree shrank")


def test_another_keys_registration_is_refused(reader: Reader, told: Told, stack: Stack) -> None:
    other = lies.always(ask(stack, "/ledger/0/bundle"))
    tell(reader.page, Lie(address="**/ledger/*/bundle*", alter=other, step="12", words=""))
    reader.visit(told)
    reader.stands("12", "failed")
    reader.verdict("failed")


def test_a_fork_is_shown_and_its_evidence_convinces_anybody(
    reader: Reader, told: Told, stack: Stack
) -> None:
    page = reader.page
    reader.visit(told)
    tell(
        page,
        Lie(address="**/log/checkpoint", alter=lies.forked(stack.data), step="B", words=""),
    )
    reader.visit(told)
    reader.refused("B", "signed two trees")
    reader.shoot("fork")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save this evidence").click()
    evidence = parse_split_view(Path(saved.value.path()).read_bytes())
    log = VKey.parse(ask(stack, "/.well-known/assay/log.vkey").decode().strip())
    assert "signed two trees" in check_split_view(evidence, log)
    page.unroute("**/log/checkpoint")
    reader.visit(told)
    reader.stands("B", "failed", "a fork of")


def test_an_old_proof_is_refused_where_the_reader_asks_for_a_fresh_one(
    reader: Reader, told: Told
) -> None:
    page = reader.page
    page.goto("/verify/")
    page.locator("#more summary").click()
    page.get_by_label("Proof at most this old").fill("0")
    reader.drop(told.folder / "receipt.json")
    reader.refused("14", "the proof is too old")


def test_a_reader_who_knows_of_it_accepts_another_policy(reader: Reader, told: Told) -> None:
    page = reader.page
    reader.visit(told)
    tell(page, LIES["the witnesses are dropped"])
    page.goto(told.link)
    page.get_by_role("button", name=re.compile("believe the new policy")).click()
    reader.stands("A", "passed")
    reader.verdict("verified")


# ------------------------------------------------------------------ no network


def test_without_a_network_files_are_enough(reader: Reader, told: Told) -> None:
    page = reader.page
    page.goto("/verify/")
    expect(page.locator("#tool")).to_be_visible()
    page.wait_for_load_state("networkidle")
    reader.context.set_offline(True)
    reader.drop(*told.files)
    reader.stands("A", "passed", "your file")
    reader.stands("B", "skipped", "could not check")
    reader.all_stand(NUMBERED, "passed")
    reader.stands("12", "passed", "the reader's own list")
    reader.verdict("verified")
    reader.context.set_offline(False)


def test_without_a_network_the_last_visit_is_remembered(
    reader: Reader, told: Told, stack: Stack
) -> None:
    """What the browser keeps is of a later tree: no proof leads there without the log."""
    page = reader.page
    grow(stack)
    reader.visit(told)
    reader.context.set_offline(True)
    page.locator("#files").set_input_files(told.folder / "receipt.json")
    expect(reader.step("A")).to_contain_text("kept in this browser")
    reader.ended()
    reader.stands("B", "skipped", "no answer")
    reader.stands("9", "skipped", "no proof from")
    reader.stands("11", "passed", "not compared")
    reader.all_stand([step for step in NUMBERED if step != "9"], "passed")
    reader.verdict("partly")
    reader.context.set_offline(False)


# ------------------------------------------------------------------ private, foreign, accessible


def test_salts_open_a_private_execution(reader: Reader, stack: Stack, tmp_path: Path) -> None:
    token = stack.manage("token", "secretive", "--create")
    parameters = run_wine(stack, token, private=True)
    place = f"/executions/{parameters['execution_id']}"
    input_salt, _, output_salt = parameters["salt"].partition(".")
    for name in ("receipt?wait=20", "output.tensors", "input.tensors"):
        (tmp_path / name.partition("?")[0]).write_bytes(ask(stack, f"{place}/{name}", token=token))
    page = reader.page
    page.goto("/verify/")
    reader.drop(*(tmp_path / name for name in ("receipt", "output.tensors", "input.tensors")))
    reader.stands("11", "passed", "not compared")
    reader.stands("15", "skipped", "salt")
    page.locator("#more summary").click()
    page.get_by_label("Salt of a private output").fill("00" * 32)
    page.get_by_label("Salt of a private input").fill(input_salt)
    page.locator("#check").click()
    reader.refused("11", "the output is another")
    page.get_by_label("Salt of a private output").fill(output_salt)
    page.locator("#check").click()
    reader.verdict("verified")
    reader.rerun()
    reader.stands("17", "passed", "commitment")


def test_a_link_of_another_site_is_not_followed(reader: Reader) -> None:
    page = reader.page
    page.goto("/verify/?receipt=https://evil.example/receipt")
    expect(page.locator("#verify-error")).to_contain_text("no address of this site")
    page.goto("/verify/?receipt=//evil.example/receipt")
    expect(page.locator("#verify-error")).to_contain_text("no address of this site")
    expect(page.locator("#result")).to_be_hidden()


def test_axe_finds_nothing_in_any_state(stack: Stack, browser: Browser, told: Told) -> None:
    page = new_page(stack, browser)
    found = complaints_at(page, "/verify/", "#tool")
    found += complaints_at(page, told.link, "#certificate")
    page.locator("#run-again").click()
    expect(page.locator('[data-step-id="17"]')).to_have_attribute("data-step", "passed")
    found += complaints(page, "run again")
    tell(page, LIES["the output shown is another"])
    found += complaints_at(page, told.link, "#certificate")
    page.locator("#more summary").click()
    found += complaints(page, "more")
    page.context.close()
    assert found == []


def complaints_at(page: Page, path: str, ready: str) -> list[str]:
    page.goto(path)
    expect(page.locator(ready)).to_be_visible()
    return complaints(page, path)
