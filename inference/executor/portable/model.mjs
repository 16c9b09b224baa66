// One model in one worker thread: loads it from bytes, runs it on bytes, says what went wrong.
//
// The memory of the WebAssembly module is capped by lowering the `maximum` that its loader asks
// for: a model that wants more gets a clean bad_alloc. Options are those of the runtime's digest:
// one thread, graph optimisation level 'all'.

import { parentPort, workerData } from "node:worker_threads";

const { folder, compiled, pages } = workerData;
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
const MAX_OUTPUT_BYTES = 256 * 2 ** 20;

class AnswerError extends Error {} // the run went well, its outputs cannot be sent

let memory = null;
const FullMemory = WebAssembly.Memory;
WebAssembly.Memory = function (descriptor) {
  const maximum = Math.min(descriptor.maximum ?? pages, pages);
  const made = new FullMemory({ ...descriptor, maximum });
  if (descriptor.maximum > 0) {
    memory = made; // the loader also makes an empty one, to look at its class
  }
  return made;
};
WebAssembly.Memory.prototype = FullMemory.prototype;
const instantiate = WebAssembly.instantiate;
WebAssembly.instantiate = async (_bytes, imports) => {
  return { module: compiled, instance: await instantiate(compiled, imports) };
};

const ort = await import(new URL("ort.wasm.min.mjs", folder).href);
ort.env.logLevel = "fatal";
ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = folder;
ort.env.wasm.wasmBinary = new ArrayBuffer(8); // never read: see `instantiate`
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
let session = null;

// A dimension without size is its name; one without a name comes as -1 read as an unsigned number.
const NAMELESS = 2 ** 32 - 1;

function dimension(size) {
  return typeof size === "number" && size >= 0 && size < NAMELESS ? size : -1;
}

function values(metadata) {
  return metadata.map(({ name, isTensor, type, shape }) => ({
    name,
    datatype: isTensor ? (NAMES[type] ?? type) : null,
    shape: isTensor ? shape.map(dimension) : [],
  }));
}

async function load({ graphSize, external, tail }) {
  const externalData = [];
  let offset = graphSize;
  for (const { path, size } of external) {
    externalData.push({ path, data: new Uint8Array(tail, offset, size) });
    offset += size;
  }
  session = await ort.InferenceSession.create(new Uint8Array(tail, 0, graphSize), {
    executionProviders: ["wasm"],
    numThreads: 1,
    graphOptimizationLevel: "all",
    externalData,
  });
  return {
    answer: { inputs: values(session.inputMetadata), outputs: values(session.outputMetadata) },
    parts: [],
  };
}

function decodeStrings(bytes, count) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const strings = new Array(count);
  let offset = 0;
  for (let i = 0; i < count; i += 1) {
    const end = offset + 4 + view.getUint32(offset, true);
    strings[i] = decoder.decode(bytes.subarray(offset + 4, end));
    offset = end;
  }
  return strings;
}

function encodeStrings(strings) {
  const parts = [];
  let total = 0;
  for (const text of strings) {
    const bytes = encoder.encode(text);
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, bytes.length, true);
    parts.push(length, bytes);
    total += 4 + bytes.length;
    if (total > MAX_OUTPUT_BYTES) {
      throw new AnswerError(`the answer is larger than ${MAX_OUTPUT_BYTES} bytes`);
    }
  }
  const whole = new Uint8Array(total);
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

function toTensor({ datatype, shape, size }, tail, offset) {
  const [type, Values] = DATATYPES[datatype];
  if (Values === null) {
    const count = shape.reduce((product, length) => product * length, 1);
    return new ort.Tensor(type, decodeStrings(new Uint8Array(tail, offset, size), count), shape);
  }
  // A copy where the offset is not a multiple of the element's size, as typed arrays demand.
  const aligned = offset % Values.BYTES_PER_ELEMENT === 0;
  const [buffer, start] = aligned ? [tail, offset] : [tail.slice(offset, offset + size), 0];
  return new ort.Tensor(type, new Values(buffer, start, size / Values.BYTES_PER_ELEMENT), shape);
}

function fromTensor(name, tensor) {
  const datatype = NAMES[tensor?.type];
  if (datatype === undefined) {
    throw new AnswerError(`the output ${name} is no tensor that can be answered`);
  }
  const { data } = tensor;
  const bytes =
    datatype === "BYTES"
      ? encodeStrings(data)
      : new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return [{ name, datatype, shape: [...tensor.dims], size: bytes.byteLength }, bytes];
}

async function run({ inputs, outputs, tail }) {
  const feeds = Object.create(null);
  let offset = 0;
  for (const input of inputs) {
    feeds[input.name] = toTensor(input, tail, offset);
    offset += input.size;
  }
  const results = await session.run(feeds, outputs);
  const described = [];
  const parts = [];
  let total = 0;
  for (const name of outputs) {
    const [description, bytes] = fromTensor(name, results[name]);
    total += bytes.byteLength;
    if (total > MAX_OUTPUT_BYTES) {
      throw new AnswerError(`the answer is larger than ${MAX_OUTPUT_BYTES} bytes`);
    }
    described.push(description);
    parts.push(bytes);
  }
  return { answer: { outputs: described, memory: memory.buffer.byteLength }, parts };
}

// ONNX Runtime's own refusals leave it as it was; after anything else nothing is promised.
function explain(error) {
  const text = String(error?.message ?? error);
  const full = /bad_alloc|out of memory|allocat/i.test(text);
  const clean = /ERROR_CODE: \d+, ERROR_MESSAGE:/.test(text) || error instanceof AnswerError;
  const answer = { error: { code: full ? "memory" : "failed", message: text.slice(0, 2000) } };
  return { answer, parts: [], ends: full || !clean };
}

parentPort.on("message", async (message) => {
  try {
    const { answer, parts } = await (message.op === "load" ? load(message) : run(message));
    const buffers = [...new Set(parts.map((part) => part.buffer))];
    parentPort.postMessage({ answer: { ok: true, ...answer }, parts, ends: false }, buffers);
  } catch (error) {
    const explained = explain(error);
    parentPort.postMessage({ ...explained, ends: explained.ends || message.op === "load" });
  }
});
