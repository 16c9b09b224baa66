// One model in one worker thread: loads it from bytes, runs it on bytes, says what went wrong.
//
// The memory of the WebAssembly module is capped by lowering the `maximum` that its loader asks
// for: a model that wants more gets a clean bad_alloc. Options are those of the runtime's digest:
// one thread, graph optimisation level 'all'.

import { registerHooks } from "node:module";
import { parentPort, workerData } from "node:worker_threads";

import { AnswerError, fromTensor, NAMES, toTensor } from "../../../assay/replay/tensors.mjs";

const { folder, compiled, pages, sources } = workerData;
const MAX_OUTPUT_BYTES = 256 * 2 ** 20;

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

// The runtime's modules come from the host's memory, never from the disk.
registerHooks({
  resolve: (specifier, context, next) =>
    Object.hasOwn(sources, specifier)
      ? { url: specifier, format: "module", shortCircuit: true }
      : next(specifier, context),
  load: (url, context, next) =>
    Object.hasOwn(sources, url)
      ? { format: "module", source: sources[url], shortCircuit: true }
      : next(url, context),
});
const ort = await import(new URL("ort.wasm.min.mjs", folder).href);
ort.env.logLevel = "fatal";
ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = folder;
ort.env.wasm.wasmBinary = new ArrayBuffer(8); // never read: see `instantiate`
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

async function load({ graphSize, external, level, tail }) {
  const externalData = [];
  let offset = graphSize;
  for (const { path, size } of external) {
    externalData.push({ path, data: new Uint8Array(tail, offset, size) });
    offset += size;
  }
  session = await ort.InferenceSession.create(new Uint8Array(tail, 0, graphSize), {
    executionProviders: ["wasm"],
    numThreads: 1,
    graphOptimizationLevel: level,
    externalData,
  });
  return {
    answer: { inputs: values(session.inputMetadata), outputs: values(session.outputMetadata) },
    parts: [],
  };
}

async function run({ inputs, outputs, tail }) {
  const feeds = Object.create(null);
  let offset = 0;
  for (const input of inputs) {
    feeds[input.name] = toTensor(ort, input, new Uint8Array(tail, offset, input.size));
    offset += input.size;
  }
  const results = await session.run(feeds, outputs);
  const described = [];
  const parts = [];
  let total = 0;
  for (const name of outputs) {
    const [description, bytes] = fromTensor(name, results[name], MAX_OUTPUT_BYTES);
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
