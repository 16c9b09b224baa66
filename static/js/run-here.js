// The run in this browser as the page shows it: progress, an end to it, and what was compared.

import { byId, el, evidenceWords, formatBytes, say } from "./dom.js";
import { runHere } from "./run-local.js";
import { readOutputs } from "./run-outputs.js";
import { answerElements, evidenceLine } from "./run-view.js";

const NOT_LOGGED =
  "This ran in your browser. Nothing was sent, nothing is signed, there is no receipt.";

/**
 * Run a request in this browser and show its answer.
 *
 * @param {import("./run-local.js").Local} local
 * @param {{inputs: object[]}} request
 * @param {import("./run-inputs.js").Hints} hints
 * @returns {Promise<{digest: string, runtime: string} | null>} null when it was cancelled
 */
export async function showRunHere(local, request, hints) {
  const result = byId("run-result");
  const ending = new AbortController();
  const box = byId("run-progress");
  const cancel = () => ending.abort(new DOMException("cancelled", "AbortError"));
  byId("run-cancel").addEventListener("click", cancel, { once: true, signal: ending.signal });
  box.hidden = false;
  result.replaceChildren(el("p", { class: "muted" }, "Running in this browser…"));
  try {
    const ran = await runHere(local, request, { onProgress: tell, signal: ending.signal });
    result.replaceChildren(...answerOf(ran, local, hints));
    return { digest: ran.digest, runtime: ran.runtime.digest };
  } catch (error) {
    result.replaceChildren(el("p", { class: "muted" }, "No answer."));
    if (error?.name === "AbortError") return null;
    throw error;
  } finally {
    ending.abort();
    box.hidden = true;
  }
}

function tell(what, done, total) {
  const amount = total ? `, ${formatBytes(done)} of ${formatBytes(total)}` : "";
  say("run-progress-words", `${what}${amount}`);
  const bar = byId("run-progress-bar");
  if (total) Object.assign(bar, { max: total, value: done });
  else bar.removeAttribute("value");
}

function answerOf({ outputs, compared, digest }, local, hints) {
  const readings = readOutputs(outputs, hints);
  const facts = compared.map((detail) => el("li", { class: "wrap" }, detail));
  const about = el(
    "details",
    {},
    el("summary", {}, "What was compared, and the digest of this answer"),
    el("ul", { class: "small push" }, ...facts, el("li", { class: "wrap" }, `output ${digest}`)),
  );
  return [
    ...answerElements(readings),
    el(
      "div",
      { class: "callout", id: "not-logged" },
      el("p", { class: "callout-title" }, "Not logged"),
      el("p", {}, NOT_LOGGED),
    ),
    evidenceLine("checked", evidenceWords("checked", wordsOf(compared, local))),
    about,
  ];
}

/**
 * Return what was compared, in words.
 *
 * @param {string[]} compared what the run told as it passed (`replay/model.js`)
 * @param {{manifest: string}} local
 * @returns {string}
 */
export function wordsOf(compared, { manifest }) {
  // Who could not compare it names it too: in the address that did not answer.
  const whole = compared.some((detail) => detail.endsWith(`; manifest ${manifest}`));
  const what = whole ? "the manifest, the graph" : "the graph";
  return `${what} and the runtime have the digests that this page names.`;
}
