import assert from "node:assert/strict";
import { test } from "node:test";

import { FormatError } from "../../static/js/assay/errors.js";
import { HEIGHT, LAYER, layOut } from "../../static/js/graph/layout.js";
import { boxesOf, find, typeWords } from "../../static/js/graph/skeleton.js";

const value = (name, shape = null, weight = false) => ({ name, datatype: "FP32", shape, weight });
const node = (op, inputs, outputs, more = {}) => ({
  ...{ name: "", op, domain: "", inputs, outputs, attributes: [], inner: 0, function: false },
  ...more,
});

// x → Conv(w) → Relu → Add(x) → y
const SKELETON = {
  format: "assay-graph-skeleton-v1",
  inputs: [0],
  outputs: [4],
  values: [
    value("x", ["N", 3, -1, 8]),
    value("w", [4, 3, 3, 3], true),
    value("c"),
    value("r"),
    value("y", []),
  ],
  nodes: [
    node("Conv", [0, 1, null], [2], { name: "stem" }),
    node("Relu", [2], [3]),
    node("Add", [3, 0], [4]),
  ],
};

test("boxes are the inputs, the nodes and the outputs, and lines lead from giver to reader", () => {
  const { boxes, lines } = boxesOf(SKELETON);
  assert.deepEqual(
    boxes.map(({ kind, title, subtitle }) => [kind, title, subtitle]),
    [
      ["input", "x", "FP32 N × 3 × ? × 8"],
      ["node", "Conv", "4 × 3 × 3 × 3"],
      ["node", "Relu", ""],
      ["node", "Add", ""],
      ["output", "y", "FP32 scalar"],
    ],
  );
  assert.deepEqual(
    lines.map(({ from, to }) => [from, to]),
    [[0, 1], [1, 2], [2, 3], [0, 3], [3, 4]],
  );
  assert.ok(boxes[1].weighted && !boxes[2].weighted);
  assert.deepEqual(boxes[0].outputs[0].boxes, [1, 3]);
  assert.deepEqual(boxes[3].inputs.map((port) => port.boxes), [[2], [0]]);
});

test("a graph's input that is its output, and one that nobody reads, are drawn", () => {
  const { boxes, lines } = boxesOf({ ...SKELETON, inputs: [0, 2], outputs: [0], nodes: [] });
  assert.deepEqual(boxes.map(({ title }) => title), ["x", "c", "x"]);
  assert.deepEqual(lines.map(({ from, to }) => [from, to]), [[0, 2]]);
  assert.equal(layOut([100, 100, 100], lines).layers.length, 2);
});

test("what is no skeleton is refused", () => {
  for (const lie of [null, {}, { ...SKELETON, format: "assay-graph-skeleton-v2" }]) {
    assert.throws(() => boxesOf(lie), FormatError);
  }
});

test("search takes words of operators, names and values, all of them", () => {
  const { boxes } = boxesOf(SKELETON);
  assert.deepEqual(find(boxes, "conv"), [1]);
  assert.deepEqual(find(boxes, "CONV stem w"), [1]);
  assert.deepEqual(find(boxes, "conv relu"), []);
  assert.deepEqual(find(boxes, "  "), []);
  const named = boxesOf({ ...SKELETON, values: SKELETON.values.with(3, value("add_1")) });
  assert.deepEqual(find(named.boxes, "add"), [3, 2]); // what is called so, then what reads or gives it
});

test("types are written as people do", () => {
  assert.equal(typeWords(value("a", [])), "FP32 scalar");
  assert.equal(typeWords({ datatype: "", shape: null }), "");
});

function checkLayout(widths, lines) {
  const plan = layOut(widths, lines);
  for (const { from, to } of lines) {
    assert.ok(plan.spots[from].y + LAYER <= plan.spots[to].y, "a line leads downward");
  }
  for (const layer of plan.layers) {
    const spots = layer.map((box) => plan.spots[box]);
    spots.slice(1).forEach((spot, at) => {
      const gap = spot.x - spot.width / 2 - (spots[at].x + spots[at].width / 2);
      assert.ok(gap > 0, `boxes of a layer overlap by ${-gap}`);
    });
  }
  for (const { x, width } of plan.spots) {
    assert.ok(x - width / 2 >= -1e-6 && x + width / 2 <= plan.width + 1e-6, "outside the drawing");
  }
  return plan;
}

test("a chain is one straight column", () => {
  const lines = Array.from({ length: 50 }, (_, at) => ({ from: at, to: at + 1 }));
  const plan = checkLayout(Array(51).fill(100), lines);
  assert.equal(plan.layers.length, 51);
  assert.equal(new Set(plan.spots.map(({ x }) => Math.round(x))).size, 1);
  assert.equal(plan.height, 50 * LAYER + HEIGHT);
});

test("a line over several layers goes around the boxes between", () => {
  const plan = checkLayout([100, 100, 100, 100], [
    { from: 0, to: 1 },
    { from: 1, to: 2 },
    { from: 2, to: 3 },
    { from: 0, to: 3 },
  ]);
  const path = plan.paths[3];
  assert.equal(path.length, 4);
  for (const { x, y } of path.slice(1, -1)) {
    const box = plan.spots.find((spot) => spot.y === y - HEIGHT / 2);
    assert.ok(Math.abs(x - box.x) > box.width / 2, "the line crosses a box");
  }
});

test("constants stand just above their reader", () => {
  const plan = checkLayout([100, 100, 100, 100], [
    { from: 0, to: 1 },
    { from: 1, to: 2 },
    { from: 3, to: 2 },
  ]);
  assert.equal(plan.spots[3].y, plan.spots[1].y);
});

test("lines that go round in a ring, which no graph that passed has, end", () => {
  const lines = [{ from: 0, to: 1 }, { from: 1, to: 2 }, { from: 2, to: 1 }];
  assert.equal(layOut([90, 90, 90], lines).spots.length, 3);
  assert.deepEqual(layOut([], []).layers, []);
});

test("two thousand boxes with long lines are laid out in seconds", () => {
  const lines = [];
  for (let at = 1; at < 2_000; at += 1) {
    lines.push({ from: at - 1 - ((at * 7) % Math.min(at, 3)), to: at });
    if (at > 400 && at % 5 === 0) lines.push({ from: at - 400, to: at });
  }
  const widths = Array.from({ length: 2_000 }, (_, at) => 90 + (at % 7) * 20);
  const begun = performance.now();
  checkLayout(widths, lines);
  assert.ok(performance.now() - begun < 20_000);
});
