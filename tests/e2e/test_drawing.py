"""What a reader draws on the Run tab is what the example model was trained on."""

from __future__ import annotations

import math

from playwright.sync_api import Page, expect

from tests.e2e.conftest import Visitor

Stroke = list[tuple[float, float]]
LEAST_RIGHT = 9  # of ten: the model itself errs on some of the digits that it was tested on


def arc(x: float, y: float, wide: float, tall: float, start: int, end: int) -> Stroke:
    angles = [math.radians(start + (end - start) * step / 20) for step in range(21)]
    return [(x + wide * math.cos(angle), y + tall * math.sin(angle)) for angle in angles]


DIGITS: list[list[Stroke]] = [
    [arc(0.5, 0.5, 0.28, 0.4, -90, 270)],
    [[(0.5, 0.12), (0.5, 0.88)]],
    [[*arc(0.5, 0.32, 0.25, 0.2, -170, 30), (0.3, 0.88), (0.76, 0.88)]],
    [[*arc(0.47, 0.3, 0.24, 0.19, -150, 90), *arc(0.47, 0.69, 0.27, 0.2, -90, 150)]],
    [[(0.55, 0.1), (0.22, 0.6), (0.8, 0.6)], [(0.6, 0.35), (0.6, 0.9)]],
    [[(0.72, 0.12), (0.33, 0.12), (0.29, 0.45), *arc(0.47, 0.65, 0.26, 0.23, -120, 140)]],
    [[(0.62, 0.1), (0.4, 0.32), (0.28, 0.6), *arc(0.5, 0.68, 0.22, 0.21, 180, 540)]],
    [[(0.24, 0.13), (0.75, 0.13), (0.42, 0.9)]],
    [[*arc(0.5, 0.3, 0.19, 0.19, 90, 450), *arc(0.5, 0.69, 0.23, 0.2, -90, 270)]],
    [[*arc(0.48, 0.32, 0.22, 0.21, 0, 360), (0.7, 0.32), (0.66, 0.9)]],
]


def draw(page: Page, strokes: list[Stroke], size: float) -> None:
    """Draw with the mouse, `size` of the paper large, away from its middle."""
    page.locator("#draw").scroll_into_view_if_needed()
    box = page.locator("#draw").bounding_box()
    assert box is not None
    for stroke in strokes:
        for index, (x, y) in enumerate(stroke):
            across = box["x"] + box["width"] * ((1 - size) * 0.1 + x * size)
            page.mouse.move(across, box["y"] + box["height"] * ((1 - size) * 0.2 + y * size))
            if index == 0:
                page.mouse.down()
        page.mouse.up()


def test_drawn_digits_are_read_large_or_small(visitor: Visitor) -> None:
    page = visitor.page
    page.goto("/models/examples/digits/run/")
    for size in (1.0, 0.45):
        right = []
        for digit, strokes in enumerate(DIGITS):
            page.get_by_role("button", name="Clear").click()
            draw(page, strokes, size)
            with page.expect_response("**/infer") as answer:
                page.locator("#run").click()
            expect(page.locator("#run")).to_be_enabled()
            (found,) = [out for out in answer.value.json()["outputs"] if out["name"] == "digit"]
            right += [digit] if found["data"] == [digit] else []
        assert len(right) >= LEAST_RIGHT, f"only {right} are read right at size {size}"
    visitor.shoot("digits-drawn")


def test_the_paper_invites_and_an_empty_one_is_not_sent(visitor: Visitor) -> None:
    page = visitor.page
    page.goto("/models/examples/digits/run/")
    expect(page.get_by_text("Draw here")).to_be_visible()
    page.locator("#run").click()
    expect(page.locator("#run-error")).to_contain_text("not drawn yet")
    draw(page, DIGITS[1], 1.0)
    expect(page.get_by_text("Draw here")).to_be_hidden()
    page.locator("#run").click()
    expect(page.locator(".result-value")).to_have_text("1")
