// The model on the page, run in this browser: nothing is sent, signed or logged.
//
// The same worker, runtime and comparisons as the replay of a receipt; here the digests to compare
// with are those that the page names.

import { sha256Hex } from "./assay/digests.js";
import { VerificationError } from "./assay/errors.js";
import { tensorFromJson } from "./assay/oip.js";
import { readRuntime } from "./assay/statements/parts.js";
import { decodeTensors } from "./assay/tensors.js";
import { withValues } from "./run-values.js";
import { replayInWorker } from "./verify/replay-client.js";
import { LIMITS } from "./verify/sources.js";

/**
 * @typedef {object} Local what the page says of the release
 * @property {{path: string, sha256: string}} graph
 * @property {string} manifest hex SHA-256
 * @property {object} runtime as statements write it
 */

/**
 * Run a model here.
 *
 * @param {Local} local
 * @param {{inputs: object[]}} request of the Open Inference Protocol
 * @param {{onProgress: (what: string, done: number, total: number) => void, signal: AbortSignal,
 *   start?: () => Worker}} tools
 * @returns {Promise<{outputs: import("./run-outputs.js").Output[], digest: string,
 *   runtime: import("./assay/statements/parts.js").Runtime, compared: string[]}>} `digest` of the
 *   outputs, as an execution would sign it; `compared` says what was hashed here
 * @throws {FormatError} inputs that are no tensors
 * @throws {VerificationError} the model or the runtime is another one than the page names
 * @throws {UnavailableError} something cannot be had, or the runtime cannot run it
 */
export async function runHere(local, request, { onProgress, signal, start }) {
  const runtime = await readRuntime(local.runtime, "runtime");
  const job = {
    predicate: { graph: local.graph, manifest: local.manifest, runtime },
    inputs: request.inputs.map(tensorFromJson),
    wanted: null,
    files: [],
    limit: LIMITS.model,
  };
  const compared = [];
  const onPassed = (_step, detail) => compared.push(detail);
  const tools = { onProgress, onPassed, signal, start };
  const output = await replayInWorker(job, tools).catch((error) => {
    throw error instanceof VerificationError ? named(error) : error;
  });
  const digest = await sha256Hex(output);
  const outputs = decodeTensors(output).map(withValues);
  return { outputs, digest, runtime, compared };
}

/** The words of the worker are about receipts; here the page is what named the digests. */
function named({ expected, found }) {
  const words = "The model or the runtime is not what this page names, so it was not run";
  const values = expected && found ? `: expected ${expected}, found ${found}` : "";
  return new VerificationError(`${words}${values}.`, { expected, found });
}
