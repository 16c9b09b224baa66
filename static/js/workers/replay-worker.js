// A module worker that runs an execution again: its own responses alone allow WebAssembly.
//
// In:  a Job of `replay/run.js`
// Out: {kind: "progress", what, done, total} · {kind: "passed", step, detail}
//      {kind: "done", output} · {kind: "error", name, message, expected, found}

import { createSHA256 } from "../../vendor/hash-wasm-4.13.0/index.esm.min.js";
import { runAgain } from "../replay/run.js";

const BETWEEN_MS = 100; // the page is told of progress so often, at most
let told = 0;

function onProgress(what, done, total) {
  const now = performance.now();
  if (done > 0 && done < total && now - told < BETWEEN_MS) return;
  told = now;
  self.postMessage({ kind: "progress", what, done, total });
}

self.addEventListener("message", async ({ data: job }) => {
  const onPassed = (step, detail) => self.postMessage({ kind: "passed", step, detail });
  try {
    const output = await runAgain(job, { createSHA256, onProgress, onPassed });
    self.postMessage({ kind: "done", output }, [output.buffer]);
  } catch (error) {
    const { name, message, expected, found } = error ?? {};
    const words = String(message ?? error);
    self.postMessage({ kind: "error", name, message: words, expected, found });
  }
});
