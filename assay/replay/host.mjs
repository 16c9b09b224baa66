// Runs jobs one after another: each from stdin, its outputs to stdout, nothing else touched.
//
// A job is a JSON line and then bytes: the graph, its external data files, the input tensors, in
// the order of the line. The answer has the same form. The one argument is the folder of the
// runtime, whose files the caller has checked by digest; the caller also takes this process's
// right to read anything else. A job with `again` brings no graph: it is for the model of the job
// before it, which is still loaded.

import { readFileSync, readSync, writeSync } from "node:fs";
import { pathToFileURL } from "node:url";

import { fromTensor, NAMES, toTensor } from "./tensors.mjs";

const folder = pathToFileURL(`${process.argv[2]}/`).href;
const BLOCK = 1 << 16;
let rest = Buffer.alloc(0); // what was read after the job before
let ort = null;
let session = null;

/** Return the next line of stdin without its end, null when there is none. */
function line() {
  let from = 0;
  for (;;) {
    const end = rest.indexOf(0x0a, from);
    if (end >= 0) {
      const text = rest.toString("utf8", 0, end);
      rest = rest.subarray(end + 1);
      return text;
    }
    from = rest.length;
    const block = Buffer.alloc(BLOCK);
    const count = readSync(0, block);
    if (count === 0) {
      return null;
    }
    rest = Buffer.concat([rest, block.subarray(0, count)]);
  }
}

/** Return the next `size` bytes of stdin. */
function take(size) {
  let bytes = rest.subarray(0, size);
  rest = rest.subarray(size);
  if (bytes.length < size) {
    const whole = Buffer.allocUnsafeSlow(size);
    for (let at = bytes.copy(whole); at < size; ) {
      const count = readSync(0, whole, at, size - at, null);
      if (count === 0) {
        throw new Error("the job ended too early");
      }
      at += count;
    }
    bytes = whole;
  }
  return new Uint8Array(bytes.buffer, bytes.byteOffset, size);
}

async function load(job, graph, externalData) {
  if (ort === null) {
    ort = await import(new URL("ort.wasm.min.mjs", folder).href);
    ort.env.logLevel = "fatal";
    ort.env.wasm.numThreads = job.threads;
    ort.env.wasm.wasmPaths = folder;
    ort.env.wasm.wasmBinary = readFileSync(new URL("ort-wasm-simd-threaded.wasm", folder));
  }
  await session?.release();
  session = null;
  session = await ort.InferenceSession.create(graph, {
    executionProviders: ["wasm"],
    numThreads: job.threads,
    graphOptimizationLevel: job.graphOptimizationLevel,
    externalData,
  });
}

async function run(job) {
  const graph = take(job.graph);
  const external = job.external.map(({ path, size }) => ({ path, data: take(size) }));
  const given = job.inputs.map((input) => [input, take(input.size)]);
  if (!job.again) {
    await load(job, graph, external);
  }
  const feeds = Object.create(null);
  for (const [input, bytes] of given) {
    feeds[input.name] = toTensor(ort, input, bytes);
  }
  const names = job.tensorsOnly
    ? session.outputMetadata
        .filter(({ isTensor, type }) => isTensor && type in NAMES)
        .map(({ name }) => name)
    : session.outputNames;
  const results = await session.run(feeds, names);
  return names.map((name) => fromTensor(name, results[name]));
}

function write(bytes) {
  for (let offset = 0; offset < bytes.length; ) {
    offset += writeSync(1, bytes, offset);
  }
}

console.log = console.error; // stdout carries the answers and nothing else
for (let text = line(); text !== null; text = line()) {
  try {
    const outputs = await run(JSON.parse(text));
    write(Buffer.from(`${JSON.stringify({ outputs: outputs.map(([described]) => described) })}\n`));
    for (const [, bytes] of outputs) {
      write(bytes);
    }
  } catch (error) {
    write(Buffer.from(`${JSON.stringify({ error: String(error?.message ?? error) })}\n`));
  }
}
process.exit(0);
