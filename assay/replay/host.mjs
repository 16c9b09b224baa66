// Runs one model once: a job on stdin, the outputs on stdout, nothing else touched.
//
// The job is a JSON line and then bytes: the graph, its external data files, the input tensors, in
// the order of the line. The answer has the same form. The one argument is the folder of the
// runtime, whose files the caller has checked by digest; the caller also takes this process's
// right to read anything else.

import { readFileSync, writeSync } from "node:fs";
import { pathToFileURL } from "node:url";

const DATATYPES = {
  BOOL: ["bool", Uint8Array],
  INT8: ["int8", Int8Array],
  INT16: ["int16", Int16Array],
  INT32: ["int32", Int32Array],
  INT64: ["int64", BigInt64Array],
  UINT8: ["uint8", Uint8Array],
  UINT16: ["uint16", Uint16Array],
  UINT32: ["uint32", Uint32Array],
  UINT64: ["uint64", BigUint64Array],
  FP16: ["float16", Uint16Array],
  FP32: ["float32", Float32Array],
  FP64: ["float64", Float64Array],
  BYTES: ["string", null],
};
const NAMES = Object.fromEntries(Object.entries(DATATYPES).map(([name, [type]]) => [type, name]));
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });

function decodeStrings(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const strings = [];
  for (let offset = 0; offset < bytes.length; ) {
    const end = offset + 4 + view.getUint32(offset, true);
    strings.push(decoder.decode(bytes.subarray(offset + 4, end)));
    offset = end;
  }
  return strings;
}

function encodeStrings(strings) {
  return Buffer.concat(
    strings.flatMap((text) => {
      const bytes = encoder.encode(text);
      const length = Buffer.alloc(4);
      length.writeUInt32LE(bytes.length);
      return [length, bytes];
    }),
  );
}

function toTensor(ort, { datatype, shape }, bytes) {
  const [type, Values] = DATATYPES[datatype] ?? [];
  if (type === undefined) {
    throw new Error(`this runtime has no tensors of ${datatype}`);
  }
  if (Values === null) {
    return new ort.Tensor(type, decodeStrings(bytes), shape);
  }
  // A copy, because typed arrays ask for an offset that is a multiple of the element's size.
  return new ort.Tensor(type, new Values(bytes.slice().buffer), shape);
}

function fromTensor(name, tensor) {
  const datatype = NAMES[tensor?.type];
  if (datatype === undefined) {
    throw new Error(`the output ${name} is no tensor`);
  }
  const { data } = tensor;
  const bytes =
    datatype === "BYTES"
      ? encodeStrings(data)
      : new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return [{ name, datatype, shape: [...tensor.dims], size: bytes.byteLength }, bytes];
}

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
  const results = await session.run(feeds);
  return session.outputNames.map((name) => fromTensor(name, results[name]));
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
