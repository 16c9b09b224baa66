import assert from "node:assert/strict";
import { test } from "node:test";

import { FormatError } from "../../static/js/assay/errors.js";
import { encodeBytes, encodeTensors } from "../../static/js/assay/tensors.js";
import { parseExact } from "../../static/js/exact-json.js";
import { wordsOf } from "../../static/js/run-here.js";
import { planInput, renderRequest } from "../../static/js/run-inputs.js";
import { readOutputs } from "../../static/js/run-outputs.js";
import { placeOf, preparationWords, valuesOf } from "../../static/js/run-pixels.js";
import { snippetsOf } from "../../static/js/run-snippets.js";
import { examplesOf, readInputs, tensorOfValues, withValues } from "../../static/js/run-values.js";

const X = { name: "x", datatype: "FP32", shape: [-1, 3] };
const bytes = (text) => new TextEncoder().encode(text);
const floats = (...values) => new Uint8Array(Float32Array.from(values).buffer);

// ---------------------------------------------------------------- pictures in

const PHOTO = { name: "x", datatype: "FP32", shape: [1, 3, 224, 224] };

function prepared(shape, input, datatype = "FP32") {
  return planInput({ name: "x", datatype, shape }, { input: { kind: "image", name: "x", ...input } });
}

test("a large picture is dropped, a small one drawn, and the card may say otherwise", () => {
  assert.equal(planInput(PHOTO).kind, "image");
  assert.equal(planInput({ ...PHOTO, shape: [1, 3, 32, 32] }).kind, "drawing");
  assert.equal(prepared([1, 3, 32, 32]).kind, "image");
  const free = prepared([-1, 3, -1, -1], { size: [20, 30] });
  assert.deepEqual([free.shape, free.grid], [[1, 3, 20, 30], { rows: 20, columns: 30 }]);
  const last = prepared([-1, -1, -1, 3], { size: [20, 30] });
  assert.deepEqual([last.shape, last.channelsLast], [[1, 20, 30, 3], true]);
  assert.equal(prepared([-1, 3, -1, -1], { size: [20, -1] }).kind, "json");
});

const RED_AND_WHITE = [255, 0, 0, 255, 255, 255, 255, 255];

test("pixels become values by the declared range, mean and deviation", () => {
  const how = { size: [1, 2], mean: [0.5, 0.5, 0.5], std: [0.5, 0.25, 0.5] };
  const plan = prepared([1, 3, 1, 2], how).preparation;
  assert.deepEqual(valuesOf(plan, RED_AND_WHITE, false), [1, 1, -2, 2, -1, 1]);
  const bgr = prepared([1, 1, 2, 3], { size: [1, 2], channels: "bgr", range: [0, 255] }).preparation;
  assert.deepEqual(valuesOf(bgr, RED_AND_WHITE, true), [0, 0, 255, 255, 255, 255]);
});

test("one channel is grey, and ink on white paper is what a drawing has much of", () => {
  const grey = prepared([1, 1, 1, 2], { size: [1, 2], range: [0, 1] }).preparation;
  assert.deepEqual(valuesOf(grey, RED_AND_WHITE, false).map((v) => v.toFixed(3)), ["0.299", "1.000"]);
  const drawn = { kind: "drawing", size: [1, 2], range: [0, 16] };
  const ink = prepared([1, 1, 1, 2], drawn, "UINT8").preparation;
  assert.deepEqual(valuesOf(ink, RED_AND_WHITE, true), [11, 0]);
});

test("a picture is cut, squeezed or given margins", () => {
  const grid = { rows: 10, columns: 10 };
  const wide = { width: 40, height: 20 };
  assert.deepEqual(placeOf({ grid, fit: "crop" }, wide), { x: -5, y: 0, width: 20, height: 10 });
  assert.deepEqual(placeOf({ grid, fit: "stretch" }, wide), { x: 0, y: 0, width: 10, height: 10 });
  assert.deepEqual(placeOf({ grid, fit: "pad" }, wide), { x: 0, y: 2.5, width: 10, height: 5 });
});

test("what is declared is said in words, and nonsense is not followed", () => {
  const said = preparationWords(prepared([1, 3, 8, 8], { mean: [0.5], std: 0.25 }).preparation);
  assert.match(said, /^Your picture is cut to the middle and shrunk to 8 by 8 pixels of red, green/);
  assert.match(said, /less the mean \(0.5, 0.5, 0.5\), over the deviation \(0.25, 0.25, 0.25\)\. This/);
  const odd = { fit: "roll", mean: ["a"], std: [1, 2], invert: "yes", channels: "cmyk" };
  const plan = prepared([1, 3, 8, 8], odd).preparation;
  assert.deepEqual([plan.fit, plan.mean, plan.std], ["crop", [0, 0, 0], [1, 1, 1]]);
  assert.ok(!plan.invert && !plan.bgr);
});

// ---------------------------------------------------------------- files in

test("tensors of an earlier run are inputs again", () => {
  const given = [
    { name: "x", datatype: "FP32", shape: [1, 3], data: floats(1, 2.5, -3) },
    { name: "t", datatype: "BYTES", shape: [2], data: encodeBytes(["a", "é"]) },
  ];
  assert.deepEqual(readInputs(encodeTensors(given), [X]).inputs, [
    { name: "t", datatype: "BYTES", shape: [2], data: ["a", "é"] },
    { name: "x", datatype: "FP32", shape: [1, 3], data: [1, 2.5, -3] },
  ]);
});

function npy(descr, shape, data, order = "False") {
  const head = `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': ${shape}, }\n`;
  const start = Uint8Array.from([0x93, ...bytes("NUMPY"), 1, 0, head.length % 256, head.length >> 8]);
  return Uint8Array.from([...start, ...bytes(head), ...data]);
}

test("an array of NumPy is the one input", () => {
  const [tensor] = readInputs(npy("<f4", "(1, 3)", floats(1, 2, 3)), [X]).inputs;
  assert.deepEqual(tensor, { name: "x", datatype: "FP32", shape: [1, 3], data: [1, 2, 3] });
  const [scalar] = readInputs(npy("<i8", "()", new Uint8Array(8)), [X]).inputs;
  assert.deepEqual([scalar.shape, scalar.data], [[], [0]]);
  for (const lie of [
    npy(">f4", "(1, 3)", floats(1, 2, 3)),
    npy("<f4", "(1, 3)", floats(1, 2, 3), "True"),
    npy("<f4", "(1, 4)", floats(1, 2, 3)),
    npy("|O", "(1,)", floats(1)),
    npy("<f4", "(1, 3)", floats(1, Number.NaN, 3)),
  ]) {
    assert.throws(() => readInputs(lie, [X]), FormatError);
  }
  assert.throws(() => readInputs(npy("<f4", "(3,)", floats(1, 2, 3)), [X, X]), /has more/);
});

test("JSON is a request, its inputs, or values by name", () => {
  const tensor = { name: "x", datatype: "FP32", shape: [1, 3], data: [1, 2, 3] };
  for (const given of [{ inputs: [tensor] }, [tensor], { x: [1, 2, 3] }, { x: [[1, 2, 3]] }]) {
    assert.deepEqual(readInputs(bytes(JSON.stringify(given)), [X]).inputs, [tensor]);
  }
  for (const lie of ["{", "5", "null", '{"z": [1]}', '{"x": [1, 2]}', '{"x": [1, 2, 3], "z": 1}']) {
    assert.throws(() => readInputs(bytes(lie), [X]), FormatError, lie);
  }
});

test("a file of bare numbers is no request, and says so", () => {
  for (const lie of ["[5.1, 3.5]", "[null]", '[{"name": "x", "datatype": "FP32", "shape": [1]}]']) {
    assert.throws(() => readInputs(bytes(lie), [X]), /Item 0 of the JSON is no tensor/, lie);
  }
});

test("no integer is rounded on its way", () => {
  const text = '[{"name":"x","datatype":"INT64","shape":[1],"data":[9007199254740993]}]';
  assert.ok(renderRequest(readInputs(bytes(text), []).inputs).includes("[9007199254740993]"));
  assert.deepEqual(parseExact('{"a": [-9223372036854775808, 9007199254740991, -0, -0.0]}'), {
    a: ["-9223372036854775808", 9007199254740991, 0, -0],
  });
  const kept = '{"\\"12345678901234567890\\\\": "1 12345678901234567890", "b": 1.2345678901234567890e3}';
  assert.deepEqual(parseExact(kept), JSON.parse(kept));
  assert.throws(() => parseExact("[12345678901234567890"), SyntaxError);
  const [output] = parseExact('[{"name":"y","datatype":"INT64","shape":[1],"data":[9007199254740993]}]');
  assert.equal(readOutputs([output])[0].words, "9007199254740993");
});

test("what JSON does not carry exactly is not taken", () => {
  const large = { name: "x", datatype: "INT64", shape: [1], data: new Uint8Array(8).fill(127) };
  assert.throws(() => readInputs(encodeTensors([large]), [X]), /beyond 2\^53/);
  const half = { name: "x", datatype: "FP16", shape: [1], data: new Uint8Array(2) };
  assert.throws(() => readInputs(encodeTensors([half]), [X]), /assay run/);
  assert.deepEqual(withValues(large).data, ["9187201950435737471"]);
  assert.equal("data" in withValues(half), false);
});

test("values take the model's shape, or their own", () => {
  assert.deepEqual(tensorOfValues(X, [1, 2, 3, 4, 5, 6]).shape, [2, 3]);
  assert.deepEqual(tensorOfValues({ ...X, shape: [] }, 5), { ...X, shape: [], data: [5] });
  assert.throws(() => tensorOfValues(X, [1, 2, 3, 4]), /do not fit/);
});

test("the card's examples that fit are offered", () => {
  const hints = {
    input: { name: "x", example: [1, 2, 3] },
    examples: [
      { title: "small", values: [[0, 0, 0]] },
      { inputs: { x: [4, 5, 6] } },
      { title: "another model's", values: [1] },
      null,
    ],
  };
  const found = examplesOf(hints, [X]);
  assert.deepEqual(found.map(({ title }) => title), ["The card's", "small", "Example 3"]);
  assert.deepEqual(found[2].inputs[0].data, [4, 5, 6]);
  assert.deepEqual(examplesOf({}, [X]), []);
});

test("an example that stands in the fields is offered once, under its title", () => {
  const examples = [{ title: "small", values: [0, 0, 0] }, { title: "large", values: [9, 9, 9] }];
  const titles = (hints) => examplesOf(hints, [X]).map(({ title }) => title);
  assert.deepEqual(titles({ input: { name: "x", example: [0, 0, 0] }, examples }), ["small", "large"]);
  assert.deepEqual(titles({ input: { name: "x", example: [1, 0, 0] }, examples }), [
    "The card's",
    "small",
    "large",
  ]);
});

test("the fields begin with the card's example, else with the first of its list", () => {
  const begun = (hints) => planInput(X, hints).fields.map(({ value }) => value);
  const examples = [{ title: "small", values: [[1, 2, 3]] }, { values: [9, 9, 9] }];
  assert.deepEqual(begun({ examples }), ["1", "2", "3"]);
  assert.deepEqual(begun({ examples: [{ inputs: { x: [4, 5, 6] } }] }), ["4", "5", "6"]);
  assert.deepEqual(begun({ input: { example: [7, 8, 9] }, examples }), ["7", "8", "9"]);
  for (const odd of [7, [], [null], [{ values: [1] }], [{ inputs: { y: [1, 2, 3] } }]]) {
    assert.deepEqual(begun({ examples: odd }), ["", "", ""], JSON.stringify(odd));
  }
});

// ---------------------------------------------------------------- answers

test("rows are a table, with the card's labels as heads", () => {
  const output = { name: "p", datatype: "FP32", shape: [2, 2], data: [0.25, 0.75, 1, 0] };
  assert.deepEqual(readOutputs([output], { labels: ["no", "yes"] }), [
    { kind: "table", name: "p", heads: ["no", "yes"], rows: [["0.25", "0.75"], ["1", "0"]], left: "" },
  ]);
  const data = Array.from({ length: 60 * 30 }, (_, at) => at);
  const [cut] = readOutputs([{ name: "n", datatype: "INT64", shape: [60, 30], data }]);
  assert.deepEqual([cut.rows.length, cut.rows[1][0], cut.heads.length], [50, "30", 20]);
  assert.equal(cut.left, "of 60 rows and 30 columns");
});

test("a picture is shown as one, and says what is black and white", () => {
  const data = Array.from({ length: 16 * 16 }, (_, at) => at);
  const output = { name: "x", datatype: "FP32", shape: [1, 1, 16, 16], data };
  const [picture] = readOutputs([output]);
  assert.equal(picture.kind, "picture");
  assert.deepEqual([...picture.rgba.slice(-4)], [255, 255, 255, 255]);
  assert.match(picture.words, /^16 by 16: 0 is shown black, 255 white \(its least/);
  const hints = { output: { name: "x", kind: "image", range: [0, 1] } };
  const small = { name: "x", datatype: "FP32", shape: [2, 1, 3], data: [1, 0, 0, 0, 0.5, 2] };
  const [declared] = readOutputs([small], hints);
  assert.deepEqual([...declared.rgba], [255, 0, 0, 255, 0, 128, 255, 255]);
  assert.match(declared.words, /as the card says/);
  assert.equal(readOutputs([small])[0].kind, "raw");
});

test("what is not finite is shown as it is, and drawn as nothing", () => {
  const output = { name: "x", datatype: "FP32", shape: [1, 2], data: [Number.NaN, 1] };
  const [table] = readOutputs([output]);
  assert.deepEqual([table.kind, table.rows], ["table", [["NaN", "1"]]]);
});

// ---------------------------------------------------------------- programs

const ASKED = {
  origin: "https://models.example.org",
  model: "alice/digits",
  revision: "0a".repeat(16),
  manifest: "b".repeat(64),
};

test("each program names the content, not a name that may move", () => {
  const body = renderRequest([{ name: "t", datatype: "BYTES", shape: [1], data: ["it's \"JSON\""] }]);
  const { curl, python, assay, file } = snippetsOf({ ...ASKED, body });
  assert.equal(file, false);
  assert.match(curl, new RegExp(`/v2/models/alice--digits/versions/${ASKED.revision}/infer'`));
  assert.match(curl, /it'\\''s/);
  assert.ok(python.includes(`REVISION = "${ASKED.revision}"  # manifest ${ASKED.manifest}`));
  assert.ok(python.includes('InferenceServerClient("models.example.org", ssl=True)'));
  assert.ok(assay.startsWith(`assay run ${ASKED.manifest} --url ${ASKED.origin} --input - <<'JSON'`));
});

test("a request that holds the end of the text gets another end", () => {
  const { assay } = snippetsOf({ ...ASKED, body: "[\nJSON\n]" });
  assert.ok(assay.endsWith("\nJSON\n]\nJSON_"));
});

test("no name of a publisher's edits the line that is pasted", () => {
  const name = "x'\u007f\u007f\u007f\u007f; touch owned #\u202e\u009b2J\u{e0041}";
  const asked = renderRequest([{ name, datatype: "BYTES", shape: [1], data: ["a"] }]);
  const { curl, python, assay } = snippetsOf({ ...ASKED, body: asked });
  for (const program of [curl, python, assay]) {
    assert.doesNotMatch(program, /[\u007f-\u009f\p{Cf}]/u);
  }
  assert.equal(JSON.parse(/'JSON'\n(.*)\nJSON$/s.exec(assay)[1]).inputs[0].name, name);
});

test("what was not compared is not called compared", () => {
  const manifest = ASKED.manifest;
  const graph = `graph ${"c".repeat(64)}; `;
  assert.match(wordsOf([`${graph}manifest ${manifest}`], { manifest }), /^the manifest, the graph and/);
  const away = `the manifest cannot be had: /sha256/${manifest} answers 404`;
  const words = wordsOf([`${graph}the manifest was not compared: ${away}`], { manifest });
  assert.match(words, /^the graph and the runtime/);
});

test("a long request is a file", () => {
  const body = renderRequest([{ name: "x", datatype: "FP32", shape: [4000], data: Array(4000).fill(1) }]);
  const { curl, python, assay, file } = snippetsOf({ ...ASKED, origin: "http://127.0.0.1:8000", body });
  assert.ok(file);
  assert.match(curl, /-d @request\.json$/);
  assert.ok(python.includes('json.load(open("request.json"))'));
  assert.ok(python.includes('InferenceServerClient("127.0.0.1:8000")'));
  assert.match(assay, /--input request\.json$/);
});

test("the text of a request holds no thousands of values", () => {
  const tensor = { name: "x", datatype: "FP32", shape: [3], data: [1, 2, 3] };
  assert.match(renderRequest([tensor], 2), /"data":"3 values, not shown"/);
  assert.match(renderRequest([tensor], 3), /"data":\[1,2,3\]/);
});
