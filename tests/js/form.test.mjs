import assert from "node:assert/strict";
import { test } from "node:test";

import { drawingControl } from "../../static/js/run-drawing.js";
import { RunForm } from "../../static/js/run-form.js";
import { planInput } from "../../static/js/run-inputs.js";
import { fire, openPage, showPictures } from "./page.mjs";

const IMAGE = { name: "image", datatype: "UINT8", shape: [1, 1, 2, 2] };
const WHITE = 255;
const PICTURE = [0, 0, 0, WHITE, ...Array(12).fill(WHITE)]; // black, and three white pixels
const tensorOf = (data) => ({ ...IMAGE, data });
const files = (name, value) => new File([JSON.stringify(value)], name);

function drawn() {
  openPage();
  showPictures(PICTURE);
  let told = 0;
  const control = drawingControl(planInput(IMAGE), 0, () => (told += 1));
  const [paper, cells] = control.element.querySelectorAll("canvas");
  const beside = control.element.querySelectorAll("figure").find((one) => one.children[0] === cells);
  const stroke = () => {
    fire(paper, "pointerdown", { button: 0, pointerId: 1, clientX: 10, clientY: 10 });
    fire(paper, "pointermove", { clientX: 10, clientY: 90 });
    fire(paper, "pointerup");
  };
  return { control, paper, beside, stroke, told: () => told };
}

// ---------------------------------------------------------------- paper and pictures

test("a picture takes the place of the example on the paper", async () => {
  const { control, beside } = drawn();
  assert.ok(control.fill(tensorOf([0, 9, 9, 0])));
  assert.deepEqual(control.tensor().data, [0, 9, 9, 0]);
  await control.take(new Blob());
  assert.deepEqual(control.tensor().data, [255, 0, 0, 0], "ink is what is black");
  assert.ok(beside.hidden, "the paper is not what the model is given");
});

test("a stroke or an example takes the place of a picture", async () => {
  const { control, beside, stroke, told } = drawn();
  await control.take(new Blob());
  stroke();
  assert.equal(told(), 2);
  assert.ok(!beside.hidden);
  assert.notDeepEqual(control.tensor().data, [255, 0, 0, 0]);
  await control.take(new Blob());
  control.fill(tensorOf([1, 2, 3, 4]));
  assert.deepEqual(control.tensor().data, [1, 2, 3, 4]);
  assert.ok(!beside.hidden);
});

test("what is cleared is empty, whatever stood there", async () => {
  const { control, stroke } = drawn();
  const clear = () => fire(control.element.querySelectorAll("button")[0], "click");
  for (const put of [stroke, () => control.take(new Blob()), () => control.fill(tensorOf([1, 2, 3, 4]))]) {
    await put();
    control.tensor();
    clear();
    assert.throws(() => control.tensor(), /not drawn yet/);
  }
});

// ---------------------------------------------------------------- the form

const LONG = { name: "long", datatype: "FP32", shape: [5_000] };
const ROW = { name: "row", datatype: "FP32", shape: [1, 2] };

function form(inputs, typed) {
  const places = openPage("inputs", "run-fields", "run-json", "run-given", "run-by-hand", "run-examples");
  places.inputs.value = typed;
  const made = new RunForm({ form: {}, inputs, hints: {}, onChange: () => {} });
  return { made, places };
}

test("whoever goes back from a file finds what stood in the JSON before", async () => {
  const typed = '{"inputs": [{"name": "long", "datatype": "FP32", "shape": [1], "data": [7]}]}';
  const { made, places } = form([LONG], typed);
  await made.take(files("a.json", [{ ...LONG, data: Array(5_000).fill(1) }]));
  assert.match(places.inputs.value, /5000 values, not shown/);
  assert.equal(made.read().request.inputs[0].data.length, 5_000);
  fire(places["run-given"].querySelectorAll("button")[0], "click");
  assert.deepEqual(made.read().request.inputs[0].data, [7]);
});

test("a field that is edited beside a file sends the JSON of before, not its shortened text", async () => {
  const before = { name: "long", datatype: "FP32", shape: [1], data: [7] };
  const { made, places } = form([ROW, LONG], JSON.stringify({ inputs: [{ name: "row" }, before] }));
  const given = [{ ...ROW, data: [1, 2] }, { ...LONG, data: Array(5_000).fill(1) }];
  await made.take(files("a.json", given));
  const [field] = places["run-fields"].querySelectorAll("input");
  field.value = "3";
  fire(field, "input");
  assert.deepEqual(made.read().request.inputs.map(({ data }) => data), [[3, 2], [7]]);
});

test("a file that is no request leaves what was there", async () => {
  const { made } = form([ROW], "");
  await made.take(files("row.json", { row: [1, 2] }));
  await assert.rejects(made.take(files("a.json", [5, 6])), /no tensor/);
  assert.deepEqual(made.read().request.inputs[0].data, [1, 2]);
});
