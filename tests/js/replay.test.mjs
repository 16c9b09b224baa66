// What the replay worker does, under Node: the same modules, the real runtime, a site that is a map.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";

import { createSHA256 } from "../../static/vendor/hash-wasm-4.13.0/index.esm.min.js";
import { canonicalJson } from "../../static/js/assay/canonical.js";
import { manifestDigest, resourcesFrom } from "../../static/js/assay/manifest.js";
import { decodeTensors } from "../../static/js/assay/tensors.js";
import { hash, readHashed } from "../../static/js/replay/bytes.js";
import { differences } from "../../static/js/replay/compare.js";
import { externalLocations, pathOfLocation } from "../../static/js/replay/onnx-data.js";
import { runAgain } from "../../static/js/replay/run.js";
import { folderOf } from "../../static/js/replay/runtimes.js";

const ROOT = new URL("../../", import.meta.url);
const VENDOR = new URL("static/vendor/onnxruntime-web-1.30.0/", ROOT);
const NAMES = ["ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm", "ort.wasm.min.mjs"];
const LIMIT = 2 ** 30;
const site = new Map(); // what the site answers, by address
const realFetch = globalThis.fetch;

const sha = (data) => createHash("sha256").update(data).digest("hex");
const put = (data) => site.set(`/sha256/${sha(data)}`, data) && sha(data);

before(() => {
  globalThis.fetch = async (url) => {
    const address = String(url);
    if (address.startsWith("file:")) return new Response(readFileSync(new URL(address)));
    const found = site.get(address);
    return found ? new Response(found) : new Response("", { status: 404 });
  };
});
after(() => {
  globalThis.fetch = realFetch;
});

// ---------------------------------------------------------------- a model with external data

const varint = (value) => (value < 128 ? [value] : [(value & 127) | 128, ...varint(value >> 7)]);
const field = (number, bytes) => [...varint(number * 8 + 2), ...varint(bytes.length), ...bytes];
const number = (place, value) => [...varint(place * 8), ...varint(value)];
const text = (place, words) => field(place, [...Buffer.from(words)]);
const FLOAT = 1;

function valueInfo(place, name) {
  const dimension = field(1, number(1, 2));
  const tensor = field(1, [...number(1, FLOAT), ...field(2, dimension)]);
  return field(place, [...text(1, name), ...field(2, tensor)]);
}

/** Return the ONNX graph `y = x + w`, whose weight lies at `location`, beside it. */
function graphWith(location) {
  const pair = (name, value) => field(13, [...text(1, name), ...text(2, value)]);
  const place = [...pair("location", location), ...pair("offset", "0"), ...pair("length", "8")];
  const weight = [...number(1, 2), ...number(2, FLOAT), ...text(8, "w"), ...place, ...number(14, 1)];
  const node = [...text(1, "x"), ...text(1, "w"), ...text(2, "y"), ...text(4, "Add")];
  const ends = [...valueInfo(11, "x"), ...valueInfo(12, "y")];
  const graph = [...field(1, node), ...text(2, "sum"), ...field(5, weight), ...ends];
  const opset = field(8, number(2, 17));
  return Uint8Array.from([...number(1, 8), ...field(7, graph), ...opset]);
}

const floats = (...values) => new Uint8Array(Float32Array.from(values).buffer);
const X = { name: "x", datatype: "FP32", shape: [2], data: floats(1, 2) };
const GRAPH = graphWith("weights/part-0.bin");
const WEIGHT = floats(10, 20);
const FOLDER = [
  ["nets/sum.onnx", GRAPH],
  ["nets/weights/part-0.bin", WEIGHT],
  ["README.md", Buffer.from("# Sum\n")],
];

async function runtime() {
  const files = NAMES.map((name) => ({ name, sha256: sha(readFileSync(new URL(name, VENDOR))) }));
  const joined = Buffer.concat(files.map(({ sha256 }) => Buffer.from(sha256, "hex")));
  const about = { kind: "portable", name: "onnxruntime-web", version: "1.30.0", isa: [] };
  return { ...about, files, digest: sha(joined), level: "all", threads: 1 };
}

async function jobOf(folder = FOLDER, given = []) {
  const resources = resourcesFrom(folder.map(([name, data]) => [name, sha(data)]));
  const graph = { path: "nets/sum.onnx", sha256: sha(folder[0][1]) };
  const manifest = await manifestDigest(resources);
  const predicate = { graph, manifest, runtime: await runtime() };
  site.clear();
  put(Buffer.from(canonicalJson(resources)));
  for (const [, data] of folder) put(data);
  const files = given.map(([name, data]) => [name, new Blob([data])]);
  return { predicate, inputs: [X], wanted: null, files, limit: LIMIT };
}

function tools() {
  const [passed, progress] = [[], []];
  return {
    passed,
    progress,
    createSHA256,
    onProgress: (what, done, total) => progress.push([what, done, total]),
    onPassed: (step, detail) => passed.push([step, detail]),
  };
}

const sum = (output) => [...new Float32Array(decodeTensors(output)[0].data.slice().buffer)];

test("a site's model runs, its external data included, and each step is told", async () => {
  const told = tools();
  const output = await runAgain(await jobOf(), told);
  assert.deepEqual(sum(output), [11, 22]);
  assert.deepEqual(told.passed.map(([step]) => step), ["15", "16"]);
  assert.match(told.passed[0][1], /graph [0-9a-f]{64} and 1 file of external data; manifest/);
  assert.match(told.passed[1][1], /onnxruntime-web 1\.30\.0/);
  assert.ok(told.progress.some(([what]) => what === "reading nets/weights/part-0.bin"));
});

test("the reader's own folder runs as well, and no site is asked for it", async () => {
  const job = await jobOf(FOLDER, FOLDER);
  site.clear();
  assert.deepEqual(sum(await runAgain(job, tools())), [11, 22]);
});

test("a folder with one file more is another model", async () => {
  const job = await jobOf(FOLDER, [...FOLDER, ["extra.txt", Buffer.from("x")]]);
  await assert.rejects(runAgain(job, tools()), ({ name, message, expected, found }) => {
    assert.deepEqual([name, expected === found], ["VerificationError", false]);
    return /the folder is another model/.test(message);
  });
});

test("other weights than the manifest lists are refused before anything runs", async () => {
  const job = await jobOf();
  site.set(`/sha256/${sha(WEIGHT)}`, floats(10, 21));
  const told = tools();
  await assert.rejects(runAgain(job, told), /part-0\.bin is not the file of the manifest/);
  assert.deepEqual(told.passed, []);
});

test("a graph alone is not enough where it reads files beside it", async () => {
  const job = await jobOf(FOLDER, FOLDER.slice(0, 1));
  await assert.rejects(runAgain(job, tools()), /give the whole model folder/);
});

test("weights outside the model's folder are refused", async () => {
  const folder = [["nets/sum.onnx", graphWith("../../secret.bin")], ...FOLDER.slice(1)];
  await assert.rejects(runAgain(await jobOf(folder), tools()), { name: "FormatError" });
});

test("weights that the manifest does not list are refused", async () => {
  const folder = [["nets/sum.onnx", graphWith("other.bin")], ...FOLDER.slice(1)];
  const words = /"nets\/other\.bin", which the manifest does not list/;
  await assert.rejects(runAgain(await jobOf(folder), tools()), words);
});

test("a manifest that lists another graph is refused", async () => {
  const job = await jobOf();
  job.predicate.graph.path = "README.md";
  await assert.rejects(runAgain(job, tools()), /the manifest lists another graph/);
});

test("what is too large for a page is said with both sizes, and never held", async () => {
  const job = { ...(await jobOf(FOLDER, FOLDER)), limit: GRAPH.length + 1 };
  await assert.rejects(runAgain(job, tools()), ({ name, message }) => {
    assert.match(message, /has 8 bytes, and a browser is asked to hold 1 at most.*assay replay/);
    return name === "UnavailableError";
  });
});

test("a model that the runtime refuses is unrunnable, and no lie", async () => {
  const folder = [["nets/sum.onnx", Uint8Array.from([8, 8])], ...FOLDER.slice(1)];
  await assert.rejects(runAgain(await jobOf(folder), tools()), ({ name, message }) => {
    assert.equal(name, "UnavailableError");
    return /the runtime did not run it/.test(message);
  });
});

test("only a runtime that this page knows is loaded", async () => {
  const known = await runtime();
  assert.equal(folderOf(known), VENDOR.href);
  const refused = [
    [{ ...known, kind: "native" }, /native runtime is not replayed/],
    [{ ...known, digest: "ab".repeat(32) }, /is not known to this page/],
    [{ ...known, digest: "constructor" }, /is not known to this page/],
    [{ ...known, threads: 4 }, /one thread/],
    [{ ...known, files: known.files.slice(1) }, /is not the three files/],
  ];
  for (const [other, words] of refused) assert.throws(() => folderOf(other), words);
});

test("the outputs that were asked for are kept, where all of them are there", async () => {
  const job = { ...(await jobOf()), wanted: ["y"] };
  assert.equal(decodeTensors(await runAgain(job, tools())).length, 1);
  const other = { ...(await jobOf()), wanted: ["z"] };
  assert.equal(decodeTensors(await runAgain(other, tools())).length, 1);
});

// ---------------------------------------------------------------- its parts

test("external locations are found, each once, and nothing else is", () => {
  assert.deepEqual(externalLocations(GRAPH), ["weights/part-0.bin"]);
  assert.deepEqual(externalLocations(new Uint8Array()), []);
  for (const name of ["digits", "wine", "diabetes"]) {
    const graph = readFileSync(new URL(`examples/${name}/model.onnx`, ROOT));
    assert.deepEqual(externalLocations(new Uint8Array(graph)), []);
  }
});

test("a file that is no protobuf is malformed, wherever it is cut", () => {
  for (let length = 1; length < GRAPH.length; length += 1) {
    try {
      externalLocations(GRAPH.subarray(0, length));
    } catch (error) {
      assert.equal(error.name, "FormatError");
    }
  }
  assert.throws(() => externalLocations(Uint8Array.of(11)), /wire type 3/);
  assert.throws(() => externalLocations(new Uint8Array(12).fill(0xff)), /more than 64 bits/);
});

test("a location is meant from the graph's folder", () => {
  assert.equal(pathOfLocation("a/b.onnx", "c.bin"), "a/c.bin");
  assert.equal(pathOfLocation("b.onnx", "./d/../c.bin"), "c.bin");
  assert.equal(pathOfLocation("a/b.onnx", "../../c.bin"), "../c.bin");
  assert.equal(pathOfLocation("a/b.onnx", "/etc/passwd"), "/etc/passwd");
});

test("bytes and digest come from one pass, with or without a length", async () => {
  const data = Buffer.alloc(200_000, 7);
  const reading = { name: "it", createSHA256, limit: LIMIT };
  const parts = [data.subarray(0, 70_000), data.subarray(70_000)];
  site.set("/parts", new ReadableStream({
    start(controller) {
      for (const part of parts) controller.enqueue(new Uint8Array(part));
      controller.close();
    },
  }));
  const found = await readHashed({ url: "/parts" }, reading);
  assert.equal(found.sha256, sha(data));
  assert.equal(Buffer.compare(Buffer.from(found.bytes), data), 0);
  assert.equal(await hash({ blob: new Blob([data]) }, reading), sha(data));
  await assert.rejects(readHashed({ url: "/none" }, reading), /answers 404/);
});

test("where outputs differ, it is told which element, and both values", () => {
  const claimed = { ...X, data: floats(1, 2) };
  const [told] = differences([claimed], [{ ...X, data: floats(1, 2.5) }]);
  const words = "1 of 2 elements differ, the first at 1: claimed 2 (40000000), replayed 2.5 (40200000)";
  assert.deepEqual(told, { name: "x", detail: words });
  assert.deepEqual(differences([claimed], [claimed]), []);
  const shapes = differences([claimed], [{ ...X, shape: [1, 2] }]);
  assert.equal(shapes[0].detail, "claimed FP32 [2], replayed FP32 [1, 2]");
  const names = differences([claimed], [{ ...claimed, name: "other" }]);
  assert.deepEqual(names.map(({ detail }) => detail), [
    "the replay has no such output",
    "the receipt has no such output",
  ]);
  const strings = { name: "s", datatype: "BYTES", shape: [1] };
  const pair = [Uint8Array.of(1, 0, 0, 0, 65), Uint8Array.of(1, 0, 0, 0, 66)];
  const [other] = differences([{ ...strings, data: pair[0] }], [{ ...strings, data: pair[1] }]);
  assert.equal(other.detail, "other strings");
});

test("what runs here and what runs in the executor turn tensors over in the same words", () => {
  const read = (path) => readFileSync(new URL(path, ROOT), "utf8");
  assert.equal(read("static/js/replay/tensors.mjs"), read("assay/replay/tensors.mjs"));
});
