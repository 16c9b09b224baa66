// The answer, run again in this browser: steps 15 to 17 of the page.
//
// It costs a download and a minute, so the reader asks for it, knowing both sizes.

import { FormatError, UnavailableError, VerificationError } from "../assay/errors.js";
import { decodeTensors } from "../assay/tensors.js";
import { differences } from "../replay/compare.js";
import { folderOf } from "../replay/runtimes.js";
import { valueOf } from "./claim.js";
import { replayInWorker } from "./replay-client.js";
import { LIMITS, sizeOf } from "./sources.js";

const STEPS = ["15", "16", "17"];
const RUNTIME_FILE = "ort-wasm-simd-threaded.wasm";

/** @typedef {import("./flow.js").Outcome} Outcome */

/**
 * Say why an execution cannot be run again here, "" when it can.
 *
 * @param {Outcome} outcome
 * @returns {string}
 */
export function whyNot({ said, held }) {
  try {
    folderOf(said.execution.runtime);
  } catch (error) {
    return error.message;
  }
  if (!held?.input.bytes) return held?.input.why ?? "the input is not at hand";
  return said.execution.output.form === "commitment" && !held.output.salt
    ? held.output.why || "the output's salt is not at hand"
    : "";
}

/**
 * Return what a run would fetch, in bytes; the external data of a model is not in it.
 *
 * @param {Outcome} outcome
 * @param {import("./handed.js").Hands} hands
 * @param {typeof globalThis.fetch} fetch
 * @returns {Promise<{model: number, runtime: number}>} 0: it need not be fetched, or is not known
 */
export async function sizes({ said }, hands, fetch) {
  const { runtime, graph } = said.execution;
  const ask = (path) => sizeOf(path, fetch).catch(() => 0);
  const wasm = new URL(RUNTIME_FILE, folderOf(runtime));
  return {
    runtime: await ask(wasm.pathname),
    model: hands.model.size ? 0 : await ask(`/sha256/${graph.sha256}`),
  };
}

/**
 * Run an execution again and compare the bits.
 *
 * @param {Outcome} outcome of a receipt that was verified
 * @param {import("./handed.js").Hands} hands
 * @param {{plan: import("./plan.js").Plan, signal: AbortSignal,
 *   onProgress: (what: string, done: number, total: number) => void,
 *   start?: () => Worker}} tools
 * @returns {Promise<{output: Uint8Array, differing: {name: string, detail: string}[]} | null>} null
 *   when it did not come to an end
 */
export async function runAgain(outcome, hands, { plan, signal, onProgress, start }) {
  const { said, held } = outcome;
  plan.reset(STEPS);
  plan.run("15");
  try {
    const job = {
      predicate: said.execution,
      inputs: decodeTensors(held.input.bytes),
      wanted: held.output.bytes ? decodeTensors(held.output.bytes).map(({ name }) => name) : null,
      files: [...hands.model],
      limit: LIMITS.model,
    };
    const onPassed = (step, detail) => {
      plan.pass(step, detail);
      plan.run(step === "15" ? "16" : "17");
    };
    const output = await replayInWorker(job, { signal, onProgress, onPassed, start });
    return await compare(output, said.execution, held, plan);
  } catch (error) {
    plan.end(STEPS.find((id) => !plan.ended(id)) ?? "17", error);
    plan.skipRest("not reached: an earlier step did not pass", STEPS);
    if (known(error)) return null;
    throw error;
  }
}

/** Step 17. */
async function compare(output, execution, held, plan) {
  const expected = execution.output.sha256;
  const found = await valueOf(output, held.output.salt);
  const { form } = execution.output;
  if (found === expected) {
    plan.pass("17", `${form} ${found}, ${output.length} bytes, every bit the same`);
    return { output, differing: [] };
  }
  const claimed = held.output.bytes;
  const differing = claimed ? differences(decodeTensors(claimed), decodeTensors(output)) : [];
  const told = differing.map(({ name, detail }) => `${name}: ${detail}`).join("; ");
  const words = `the replayed output has other bits${told ? `; ${told}` : ""}`;
  plan.end("17", new VerificationError(words, { expected, found }));
  return { output, differing };
}

function known(error) {
  const kinds = [FormatError, UnavailableError, VerificationError];
  return error?.name === "AbortError" || kinds.some((kind) => error instanceof kind);
}
