// Runs one model once: a job on stdin, the outputs on stdout, nothing else touched.
//
// The job is a JSON line and then bytes: the graph, its external data files, the input tensors, in
// the order of the line. The answer has the same form. The one argument is the folder of the
// runtime, whose files the caller has checked by digest; the caller also takes this process's
// right to read anything else.

import { readFileSync, writeSync } from "node:fs";
import { pathToFileURL } from "node:url";

import { fromTensor, NAMES, toTensor } from "./tensors.mjs";

async function run(folder, job, take) {
  const ort = await import(new URL("ort.wasm.min.mjs", folder).href);
  ort.env.logLevel = "fatal";
  ort.env.wasm.numThreads = job.threads;
  ort.env.wasm.wasmPaths = folder;
  ort.env.wasm.wasmBinary = readFileSync(new URL("ort-wasm-simd-threaded.wasm", folder));
  const session = await ort.InferenceSession.create(take(job.graph), {
    executionProviders: ["wasm"],
    numThreads: job.threads,
    graphOptimizationLevel: job.graphOptimizationLevel,
    externalData: job.external.map(({ path, size }) => ({ path, data: take(size) })),
  });
  const feeds = Object.create(null);
  for (const input of job.inputs) {
    feeds[input.name] = toTensor(ort, input, take(input.size));
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

console.log = console.error; // stdout carries the answer and nothing else
const whole = readFileSync(0);
const end = whole.indexOf(0x0a);
let offset = end + 1;
const take = (size) => new Uint8Array(whole.buffer, whole.byteOffset + (offset += size) - size, size);
try {
  const job = JSON.parse(whole.toString("utf8", 0, end));
  const outputs = await run(pathToFileURL(`${process.argv[2]}/`).href, job, take);
  write(Buffer.from(`${JSON.stringify({ outputs: outputs.map(([described]) => described) })}\n`));
  for (const [, bytes] of outputs) {
    write(bytes);
  }
} catch (error) {
  write(Buffer.from(`${JSON.stringify({ error: String(error?.message ?? error) })}\n`));
}
process.exit(0);
