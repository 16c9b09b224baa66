"""Carol at her desk: a report comes in, she takes the model down, readers see why, alice appeals.

Carol and dave are staff with the one permission, made as an operator makes them; all else is done
in browsers, wide and narrow.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from playwright.sync_api import Browser, expect

from registry.services.flags import LEAST_S
from tests.e2e.desks import PASSWORD, Desk, seated, sit
from tests.e2e.stack import ROOT, Stack

REASON = "The weights are those of another network, without the consent of its author."
ANSWER = "Its author has agreed since: see the licence in the newest card."
LET_IN = """
from django.contrib.auth.models import Permission, User
for name in ("{names}".split()):
    user = User.objects.get(username=name)
    user.is_staff = True
    user.save()
    user.user_permissions.add(Permission.objects.get(codename="moderate"))
"""


def let_in(stack: Stack, *names: str) -> None:
    """Let these people moderate, as an operator does."""
    stack.manage("shell", "-c", LET_IN.replace("{names}", " ".join(names)))


def sure(desk: Desk) -> None:
    """Prove who sits there, where the site asks."""
    if "/reauthenticate" in desk.page.url:
        desk.page.locator("input[name=password]").fill(PASSWORD)
        desk.page.locator("main button[type=submit]").click()


def act(desk: Desk, action: str, name: str) -> str:
    """Act from a report; return the address of the action's page."""
    page = desk.page
    page.goto("/admin/registry/report/")
    page.get_by_role("link", name=name, exact=True).first.click()
    expect(page.get_by_role("heading", name=f"Model: {name}")).to_be_visible()
    desk.look("report")
    page.get_by_role("link", name=action, exact=True).click()
    sure(desk)
    page.get_by_label("Category").select_option("copyright")
    page.get_by_label("Reason").fill(REASON)
    desk.look("act")
    page.get_by_role("button", name="Show what would be signed").click()
    expect(page.get_by_role("heading", name="What everybody will read")).to_be_visible()
    desk.look("preview")
    page.get_by_label("Type the name").fill(name)
    page.get_by_role("button", name=f"{action} {name}").click()
    expect(page.locator("h1")).to_contain_text("taken down")
    return page.url


def test_carol_takes_a_model_down_and_dave_grants_the_appeal(
    stack: Stack, browser: Browser, tmp_path: Path
) -> None:
    with seated() as desks:
        alice, carol, dave = (
            sit(desks, browser, stack.url, name) for name in ("ada", "cal", "dee")
        )
        reader = sit(desks, browser, stack.url)
        let_in(stack, "cal", "dee")
        alice.page.goto("/publish/")
        alice.page.get_by_label("Name", exact=True).fill("taken")
        alice.page.locator("main button[type=submit]").first.click()
        reader.page.goto("/moderation/report/?kind=model&name=ada/taken")
        reader.look("report-form")
        reader.page.get_by_label("Why").select_option("copyright")
        reader.page.get_by_label("What is wrong").fill("These weights are mine: see the paper.")
        # As long as the site wants a person to read: it counts by its own clock.
        reader.page.wait_for_timeout(LEAST_S * 1000 + 500)
        reader.page.get_by_role("button", name="Send the report").click()
        expect(reader.page.locator("h1")).to_have_text("Thank you")

        action = act(carol, "Take down", "ada/taken")
        assert reader.status_of("/models/ada/taken/") == 451
        assert reader.status_of("/api/v1/models/ada/taken") == 451
        reader.page.goto("/moderation/")
        reader.look("log")
        reader.page.goto(action)
        expect(reader.page.get_by_role("link", name="Download the receipt")).to_be_visible()
        reader.look("action")
        check(stack, action, tmp_path)

        alice.page.goto(action)
        alice.page.get_by_label("Why it was wrong").fill("Its author has agreed: see the card.")
        alice.press("Appeal against action " + action.rstrip("/").rpartition("/")[2])
        expect(alice.page.locator("main")).to_contain_text("waiting for another moderator")
        dave.page.goto("/admin/registry/objection/")
        dave.page.locator("#result_list tbody th a").first.click()
        dave.page.get_by_label("Decision").select_option("granted")
        dave.page.get_by_label("Answer").fill(ANSWER)
        dave.page.get_by_role("button", name="Show the answer").click()
        sure(dave)
        dave.page.get_by_role("button", name="Grant the appeal").click()
        expect(dave.page.locator("main")).to_contain_text(ANSWER)
        assert alice.status_of("/models/ada/taken/") == 200


def check(stack: Stack, action: str, folder: Path) -> None:
    """Run the lines that the page shows, as a stranger."""
    lines = "\n".join(
        (
            f"assay trust init {stack.url}",
            f"curl -sfO {action}moderation.sigstore.json",
            "assay verify moderation.sigstore.json --type urn:assay:moderation:v1",
        )
    )
    environment = {"PATH": f"{ROOT}/.venv/bin:/usr/bin:/bin", "XDG_CONFIG_HOME": str(folder)}
    subprocess.run(["bash", "-euc", lines], cwd=folder, env=environment, check=True)
