// The page's end of the replay worker: one worker for one run, so that cancelling is ending it.

import { UnavailableError, VerificationError, FormatError } from "../assay/errors.js";

const WORKER = new URL("../workers/replay-worker.js", import.meta.url);

/**
 * Run a job in a worker.
 *
 * @param {import("../replay/run.js").Job} job
 * @param {object} options
 * @param {(what: string, done: number, total: number) => void} options.onProgress
 * @param {(step: "15" | "16", detail: string) => void} options.onPassed
 * @param {AbortSignal} options.signal
 * @param {() => Worker} [options.start] how a worker is started
 * @returns {Promise<Uint8Array>} `output.tensors`
 * @throws what `runAgain` throws; the reason of `signal` when it was cancelled
 */
export function replayInWorker(job, { onProgress, onPassed, signal, start = startWorker }) {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const worker = start();
    const stop = () => end(() => reject(signal.reason));
    const end = (settle) => {
      worker.terminate();
      signal.removeEventListener("abort", stop);
      settle();
    };
    signal.addEventListener("abort", stop, { once: true });
    worker.addEventListener("message", ({ data }) => {
      if (data.kind === "progress") onProgress(data.what, data.done, data.total);
      if (data.kind === "passed") onPassed(data.step, data.detail);
      if (data.kind === "done") end(() => resolve(data.output));
      if (data.kind === "error") end(() => reject(errorOf(data)));
    });
    worker.addEventListener("error", () => {
      const words = "the browser could not run the replay (a WebAssembly worker)";
      end(() => reject(new UnavailableError(words)));
    });
    worker.postMessage(job);
  });
}

function startWorker() {
  return new Worker(WORKER, { type: "module" });
}

/** Errors lose their class on the way between a worker and its page. */
function errorOf({ name, message, expected, found }) {
  if (name === "FormatError") return new FormatError(message);
  if (name !== "VerificationError") return new UnavailableError(message);
  return Object.assign(new VerificationError(message), { expected, found });
}
