// The model process of the portable runtime: frames on descriptor 0, one model per worker thread.
//
// It is started inside a jail with one argument, the runtime's folder, and asks for nothing else:
// models come as bytes. Requests arrive one at a time; `stop` may come while one is under way. A
// thread that met its deadline, a trap or the memory limit is ended and never used again. When
// the socket ends, so does the process.

import { readFileSync } from "node:fs";
import { Socket } from "node:net";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";

import { readFrames, writeFrame } from "./frames.mjs";

const HEAP_MIB = 1024; // JavaScript's own memory in one thread: strings; tensors live outside it

const folder = pathToFileURL(`${process.argv[2]}/`).href;
const wasm = readFileSync(new URL("ort-wasm-simd-threaded.wasm", folder));
// The runtime is read once, while the supervisor hashes it before and after: what a thread runs
// later is not what the disk holds by then.
const sources = Object.create(null);
for (const file of ["ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs"]) {
  const url = new URL(file, folder);
  sources[url.href] = readFileSync(url, "utf8");
}
// What else the threads will read must be there now: else a model would be blamed for its absence.
readFileSync(new URL("./model.mjs", import.meta.url));
readFileSync(new URL("../../../assay/replay/tensors.mjs", import.meta.url));
const socket = new Socket({ fd: 0, readable: true, writable: true });
const models = new Map(); // key -> Worker
let current = null; // the request under way: { key, worker, timer }

// Compiled once and shared with every thread: the second model loads in a tenth of the time.
const compiled = await WebAssembly.compile(wasm);

function failure(code, message) {
  return { error: { code, message: String(message).slice(0, 2000) } };
}

// Answer the request under way, exactly once; `ends` is the end of the thread that worked on it.
function finish(answer, parts = [], ends = false) {
  const { key, worker, timer } = current;
  current = null;
  clearTimeout(timer);
  if (ends) {
    models.delete(key);
    worker.terminate();
  }
  writeFrame(socket, { ...answer, gone: ends }, parts);
}

function ask(key, worker, message, transfer, deadlineMs) {
  const timer = setTimeout(() => finish(failure("deadline", ""), [], true), deadlineMs);
  current = { key, worker, timer };
  worker.postMessage(message, transfer);
}

function start(pages) {
  const worker = new Worker(new URL("./model.mjs", import.meta.url), {
    workerData: { folder, compiled, pages, sources },
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB },
  });
  // A thread that was ended may still have something to say; nobody listens then.
  const respond = (...answer) => current?.worker === worker && finish(...answer);
  worker.on("message", ({ answer, parts, ends }) => respond(answer, parts, ends));
  worker.on("error", (error) => {
    const full = error.code === "ERR_WORKER_OUT_OF_MEMORY";
    respond(failure(full ? "memory" : "failed", error.message), [], true);
  });
  worker.on("exit", () => respond(failure("failed", "the thread ended"), [], true));
  return worker;
}

function load(header, tail) {
  const worker = start(header.pages);
  models.get(header.key)?.terminate();
  models.set(header.key, worker);
  const { graph_size: graphSize, external, level } = header;
  const message = { op: "load", graphSize, external, level, tail };
  ask(header.key, worker, message, [tail], header.deadline_ms);
}

function run(header, tail) {
  const worker = models.get(header.key);
  if (worker === undefined) {
    writeFrame(socket, { ...failure("failed", "the model is not loaded"), gone: true });
    return;
  }
  const message = { op: "run", inputs: header.inputs, outputs: header.outputs, tail };
  ask(header.key, worker, message, [tail], header.deadline_ms);
}

function drop(header) {
  models.get(header.key)?.terminate();
  models.delete(header.key);
  writeFrame(socket, { ok: true });
}

const operations = { load, run, drop };

readFrames(socket, (header, tail) => {
  if (header.op === "stop") {
    if (current !== null) {
      finish(failure("stopped", ""), [], true);
    }
  } else {
    operations[header.op](header, tail);
  }
});
socket.on("error", () => process.exit(1));
socket.on("close", () => process.exit(0));
socket.on("end", () => process.exit(0));
writeFrame(socket, { ready: true });
