// An execution run again: the model is compared with the receipt, then it runs, and the answer is one
// byte string, `output.tensors`. No page and no worker in here.
//
// Two steps, each told as it passes (the numbers are those of the page):
//
// 15. The graph, its external data and the manifest are those of the receipt.
// 16. The runtime's files are the receipt's, and the graph runs in it.

import { UnavailableError } from "../assay/errors.js";
import { encodeTensors } from "../assay/tensors.js";
import { readModel } from "./model.js";
import { loadRuntime } from "./runtimes.js";
import { fromTensor, toTensor } from "./tensors.mjs";

/**
 * @typedef {object} Job
 * @property {Record<string, any>} predicate of the execution, as the verifier read it
 * @property {import("../assay/tensors.js").Tensor[]} inputs compared with the receipt by the caller
 * @property {string[] | null} wanted the names of the outputs that were asked for, where known
 * @property {[string, Blob][]} files the reader's model: the graph alone, or the whole folder by
 *   path; empty: this site is asked for the content by its digests
 * @property {number} limit bytes of the graph and its external data together
 */
/**
 * @typedef {object} Tools
 * @property {() => Promise<any>} createSHA256 hash-wasm's
 * @property {(what: string, done: number, total: number) => void} onProgress `total` 0: not known
 * @property {(step: "15" | "16", detail: string) => void} onPassed
 */

/**
 * Return the `output.tensors` that the execution gives here.
 *
 * @param {Job} job
 * @param {Tools} tools
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 * @throws {VerificationError} the model or the runtime is another one than the receipt's
 * @throws {FormatError} the graph is no protobuf, or names a file outside its folder
 * @throws {UnavailableError} something cannot be had, or the runtime cannot run it
 */
export async function runAgain(job, { createSHA256, onProgress, onPassed }) {
  const model = await readModel(job, { createSHA256, onProgress, onPassed });
  onPassed("15", model.words);
  const { runtime } = job.predicate;
  const told = (done, total) => onProgress("fetching the runtime", done, total);
  const ort = await loadRuntime(runtime, { createSHA256, onProgress: told });
  onProgress("running", 0, 0);
  const outputs = await run(ort, job, model);
  const options = `optimisation ${runtime.level}, ${runtime.threads} thread`;
  onPassed("16", `${runtime.name} ${runtime.version}, digest ${runtime.digest}; ${options}`);
  return encodeTensors(chosen(outputs, job.wanted));
}

async function run(ort, job, model) {
  const { level, threads } = job.predicate.runtime;
  try {
    const session = await ort.InferenceSession.create(model.graph, {
      executionProviders: ["wasm"],
      numThreads: threads,
      graphOptimizationLevel: level,
      externalData: model.external,
    });
    const feeds = Object.create(null);
    for (const input of job.inputs) feeds[input.name] = toTensor(ort, input, input.data);
    const results = await session.run(feeds);
    const outputs = session.outputNames.map((name) => {
      const [{ datatype, shape }, data] = fromTensor(name, results[name]);
      return { name, datatype, shape, data };
    });
    await session.release();
    return outputs;
  } catch (error) {
    // What the runtime says against a model is no word about the receipt.
    throw new UnavailableError(`the runtime did not run it: ${error?.message ?? error}`);
  }
}

/** Keep the outputs that the execution was asked for, if that is known and possible. */
function chosen(outputs, wanted) {
  const names = new Set(wanted ?? []);
  const kept = outputs.filter(({ name }) => names.has(name));
  return names.size > 0 && kept.length === names.size ? kept : outputs;
}
