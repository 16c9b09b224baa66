import assert from "node:assert/strict";
import { test } from "node:test";

import { FormatError } from "../../static/js/assay/errors.js";
import { shrink } from "../../static/js/drawing.js";
import {
  inkOf,
  inkRange,
  parseRequest,
  planInput,
  renderRequest,
  tensorOfDrawing,
  tensorOfFields,
} from "../../static/js/run-inputs.js";
import { formatNumber, readOutputs } from "../../static/js/run-outputs.js";

const DIGITS = { input: { kind: "drawing", name: "image", size: [8, 8], range: [0, 16] } };

const GRID = { columns: 8, rows: 8 };
const ONE = [[{ x: 0.5, y: 0.1 }, { x: 0.5, y: 0.9 }]];

function rowsOf(values, columns) {
  const rows = [];
  for (let at = 0; at < values.length; at += columns) rows.push([...values.slice(at, at + columns)]);
  return rows;
}

function moved(strokes, { size, x, y }) {
  return strokes.map((stroke) => stroke.map((p) => ({ x: p.x * size + x, y: p.y * size + y })));
}

test("blank paper is the low end of the range", () => {
  assert.deepEqual([...shrink([], GRID, [0, 16])], Array(64).fill(0));
  assert.deepEqual([...shrink([], { columns: 3, rows: 2 }, [-1, 1])], Array(6).fill(-1));
});

test("a one stands in the middle, from edge to edge, wider than a cell", () => {
  const rows = rowsOf(shrink(ONE, GRID, [0, 16]), 8);
  for (const row of rows) assert.deepEqual(row, row.toReversed());
  for (const row of rows.slice(1, 7)) {
    assert.ok(row[3] > 11 && row[3] <= 16, `${row}`);
    assert.equal(row[2] + row[1] + row[0], 0);
  }
  assert.ok(rows[0][3] > 4 && rows[7][3] > 4);
});

test("where and how large one draws makes no difference", () => {
  const four = [
    [{ x: 0.55, y: 0.1 }, { x: 0.2, y: 0.6 }, { x: 0.8, y: 0.6 }],
    [{ x: 0.6, y: 0.35 }, { x: 0.6, y: 0.9 }],
  ];
  const values = shrink(four, GRID, [0, 16]);
  for (const size of [0.25, 0.5, 2]) {
    const other = shrink(moved(four, { size, x: 0.125, y: 0.5 }), GRID, [0, 16]);
    assert.deepEqual([...other], [...values]);
  }
});

test("a dot stays a dot, and values are whole steps of the range", () => {
  const values = shrink([[{ x: 0.9, y: 0.1 }]], GRID, [0, 16]);
  const inked = [...values].filter((value) => value > 0);
  assert.equal(inked.length, 4);
  assert.equal(new Set(inked).size, 1);
  assert.ok(values.every(Number.isInteger));
});

test("a larger picture keeps a margin, as its data sets do", () => {
  const rows = rowsOf(shrink(ONE, { columns: 28, rows: 28 }, [0, 1]), 28);
  const inked = rows.map((row) => row.some((value) => value > 0));
  assert.equal(inked.indexOf(true), 4);
  assert.equal(inked.lastIndexOf(true), 23);
});

test("digits are drawn, by the card's hint and by the shape alone", () => {
  const input = { name: "image", datatype: "FP32", shape: [-1, 1, 8, 8] };
  const plan = planInput(input, DIGITS);
  assert.equal(plan.kind, "drawing");
  assert.deepEqual(plan.grid, { rows: 8, columns: 8 });
  assert.deepEqual(plan.range, [0, 16]);
  assert.deepEqual(plan.shape, [1, 1, 8, 8]);
  assert.deepEqual(planInput(input).range, [0, 1]);
  assert.deepEqual(planInput({ ...input, datatype: "UINT8" }).range, [0, 255]);
  const flat = planInput({ ...input, shape: [-1, 64] }, DIGITS);
  assert.equal(flat.kind, "drawing");
  assert.deepEqual(flat.shape, [1, 64]);
});

test("a hint for another input, or one that does not fit, is not followed", () => {
  for (const [name, datatype, shape] of [
    ["x", "FP32", [-1, 13]],
    ["image", "FP32", [-1, 63]],
    ["image", "BYTES", [1, 64]],
  ]) {
    assert.equal(planInput({ name, datatype, shape }, DIGITS).kind, "fields", name + datatype);
  }
});

test("a drawing fills every channel, wherever the channels stand", () => {
  const first = planInput({ name: "x", datatype: "UINT8", shape: [1, 3, 2, 2] });
  const tensor = tensorOfDrawing(first, [0.4, 1.6, 2, 3]);
  assert.deepEqual(tensor.data, [0, 2, 2, 3, 0, 2, 2, 3, 0, 2, 2, 3]);
  const last = planInput({ name: "x", datatype: "FP32", shape: [1, 2, 2, 3] });
  const { data } = tensorOfDrawing(last, [0.5, 1, 0, 0]);
  assert.deepEqual(data.slice(0, 6), [0.5, 0.5, 0.5, 1, 1, 1]);
});

test("a drawing is prepared as the card says, as a picture of it would be", () => {
  const image = { name: "x", datatype: "FP32", shape: [1, 1, 1, 2] };
  const meant = { kind: "drawing", size: [1, 2], mean: 0.5, std: 0.25 };
  const plan = planInput(image, { input: meant });
  assert.deepEqual(inkRange(plan), [0, 1]);
  assert.deepEqual(tensorOfDrawing(plan, [0, 1]).data, [-2, 2]);
  assert.deepEqual(inkOf(plan, [-2, 2]), [0, 1]);
  const black = planInput(image, { input: { ...meant, invert: false, mean: 0, std: 1 } });
  assert.deepEqual(inkRange(black), [1, 0], "black ink is the first number");
  assert.deepEqual(inkOf(black, [1, 0]), [0, 1]);
  const three = { ...image, shape: [1, 3, 1, 1] };
  const card = { kind: "drawing", size: [1, 1], mean: [0, 0.5, 1], std: [1, 0.5, 2] };
  assert.deepEqual(tensorOfDrawing(planInput(three, { input: card }), [1]).data, [1, 1, 0]);
});

test("a table row has a field for each feature, named by the card", () => {
  const hints = { features: ["age", "height"], input: { kind: "row", example: [59.0, 2.5] } };
  const plan = planInput({ name: "features", datatype: "FP32", shape: [-1, 2] }, hints);
  assert.deepEqual(plan.fields, [
    { label: "age", value: "59" },
    { label: "height", value: "2.5" },
  ]);
  assert.deepEqual(tensorOfFields(plan, ["1", " 2.5e0 "]), {
    ...{ name: "features", datatype: "FP32", shape: [1, 2] },
    data: [1, 2.5],
  });
  const bare = planInput({ name: "x", datatype: "INT64", shape: [-1] });
  assert.deepEqual(bare.fields, [{ label: "x", value: "" }]);
});

test("large, deep and half-width inputs are left to JSON or refused", () => {
  assert.equal(planInput({ name: "x", datatype: "FP32", shape: [-1, 1000] }).kind, "json");
  assert.equal(planInput({ name: "x", datatype: "FP32", shape: [1, 5, 224, 224] }).kind, "json");
  assert.equal(planInput({ name: "x", datatype: "FP32", shape: [0, 4] }).kind, "json");
  assert.equal(planInput({ name: "x", datatype: "FP16", shape: [1, 4] }).kind, "unsupported");
});

for (const [datatype, text] of [
  ["FP32", ""],
  ["FP32", "one"],
  ["FP32", "1e999"],
  ["INT64", "1.5"],
  ["INT64", "9007199254740993"],
  ["BOOL", "yes"],
]) {
  test(`a field says that "${text}" is no ${datatype}`, () => {
    const plan = planInput({ name: "x", datatype, shape: [1] });
    assert.throws(() => tensorOfFields(plan, [text]), /"x" is/);
  });
}

test("booleans and texts go as themselves", () => {
  const flags = planInput({ name: "x", datatype: "BOOL", shape: [4] });
  const { data } = tensorOfFields(flags, ["true", "0", "False", "1"]);
  assert.deepEqual(data, [true, false, false, true]);
  const words = planInput({ name: "x", datatype: "BYTES", shape: [1] });
  assert.deepEqual(tensorOfFields(words, [" two words "]).data, [" two words "]);
});

test("the request that is shown can be edited and read again", () => {
  const tensors = [{ name: "x", datatype: "FP32", shape: [1], data: [0.1] }];
  assert.deepEqual(parseRequest(renderRequest(tensors)), { inputs: tensors });
  assert.deepEqual(parseRequest(JSON.stringify(tensors)), { inputs: tensors });
  for (const lie of ["", "{", "{}", "null", '{"inputs": 5}']) {
    assert.throws(() => parseRequest(lie), FormatError, lie);
  }
});

test("a request says what was meant: the sign of a zero, and large integers", () => {
  const zero = { name: "x", datatype: "FP32", shape: [2], data: [-0, 0.5] };
  assert.match(renderRequest([zero]), /"data":\[-0\.0,0\.5\]/);
  assert.match(renderRequest([{ ...zero, datatype: "INT8", data: [[-0, 5]] }]), /\[\[0,5\]\]/);
  const text = '{"inputs": [{"name": "x", "datatype": "INT64", "shape": [1], "data": [9007199254740993]}]}';
  const { inputs } = parseRequest(text);
  assert.deepEqual(inputs[0].data, ["9007199254740993"]);
  assert.match(renderRequest(inputs), /"data":\[9007199254740993\]/);
  const words = { name: "t", datatype: "BYTES", shape: [1], data: ["9007199254740993"] };
  assert.match(renderRequest([words]), /"data":\["9007199254740993"\]/);
  assert.throws(() => parseRequest("[null]"), /Input 0 of the request is no object/);
});

test("probabilities become bars with the card's labels", () => {
  const outputs = [
    { name: "digit", datatype: "INT64", shape: [1], data: [1] },
    { name: "probabilities", datatype: "FP32", shape: [1, 3], data: [0.1, 0.7, 0.2] },
  ];
  const [scores, value] = readOutputs(outputs, { labels: ["zero", "one", "two"] });
  assert.equal(scores.kind, "scores");
  assert.ok(scores.probabilities);
  assert.deepEqual(
    scores.bars.map(({ label, words, best }) => [label, words, best]),
    [
      ["zero", "10.0 %", false],
      ["one", "70.0 %", true],
      ["two", "20.0 %", false],
    ],
  );
  assert.deepEqual(value, { kind: "value", name: "digit", words: "one", unit: "" });
});

test("scores that are no probabilities are not called so", () => {
  const output = { name: "s", datatype: "FP32", shape: [1, 2], data: [-4, 12.34567891] };
  const [scores] = readOutputs([output]);
  assert.equal(scores.probabilities, false);
  assert.deepEqual(
    scores.bars.map(({ label, share, words }) => [label, share, words]),
    [
      ["0", 0, "-4"],
      ["1", 1, "12.3457"],
    ],
  );
});

test("of many scores the highest are shown, and how many are not", () => {
  const data = Array.from({ length: 100 }, (_, index) => index);
  const [scores] = readOutputs([{ name: "s", datatype: "FP32", shape: [1, 100], data }]);
  assert.equal(scores.bars.length, 20);
  assert.equal(scores.left, 80);
  assert.deepEqual([scores.bars[0].label, scores.bars[0].best], ["99", true]);
});

test("a regression is a value with its unit", () => {
  const hints = { output: { name: "variable", unit: "points" } };
  const output = { name: "variable", datatype: "FP32", shape: [1, 1], data: [152.13348388671875] };
  assert.deepEqual(readOutputs([output], hints), [
    { kind: "value", name: "variable", words: "152.133", unit: "points" },
  ]);
});

test("what has no better form is shown as it came, and not endlessly", () => {
  const data = Array.from({ length: 2000 }, () => 1);
  const [batch] = readOutputs([{ name: "x", datatype: "INT64", shape: [2000], data }]);
  assert.equal(batch.kind, "raw");
  assert.ok(batch.words.length < 2100);
  const [cube] = readOutputs([{ name: "x", datatype: "FP32", shape: [1, 2, 2], data: [1, 2, 3, 4] }]);
  assert.deepEqual(cube, { kind: "raw", name: "x", words: "[1,2,3,4]" });
  const [bytes] = readOutputs([{ name: "x", datatype: "FP16", shape: [1] }]);
  assert.match(bytes.words, /sent as bytes/);
});

test("numbers are short, integers whole", () => {
  const words = [0.1, 1 / 3, 123456789, 1e-9].map(formatNumber);
  assert.deepEqual(words, ["0.1", "0.333333", "123456789", "1e-9"]);
});
