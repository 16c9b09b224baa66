// The verdict in a sentence, and what it does not say.

import { el } from "../dom.js";

const TONES = { verified: "ok", failed: "bad", partly: "warn", waiting: "warn" };

/**
 * Return what a reader is told at the top.
 *
 * @param {import("./plan.js").Plan} plan
 * @returns {HTMLElement}
 */
export function verdictElement(plan) {
  const { title, words } = verdictWords(plan);
  const { verdict } = plan;
  return el(
    "div",
    { class: `callout verdict ${TONES[verdict]}`, "data-verdict": verdict },
    el("p", { class: "callout-title" }, title),
    el("p", {}, words),
  );
}

/**
 * @param {import("./plan.js").Plan} plan
 * @returns {{title: string, words: string}}
 */
export function verdictWords(plan) {
  const { steps, verdict } = plan;
  const failed = steps.find(({ state }) => state === "failed");
  const passed = steps.filter(({ state }) => state === "passed").length;
  if (failed) {
    const both = failed.expected && failed.found ? " Both values stand at the step." : "";
    const words = `${sentence(failed.detail)}. Do not rely on it.${both}`;
    return { title: `Refused at step ${failed.id}, “${failed.title}”`, words };
  }
  if (verdict === "verified") {
    const again = plan.step("17").state === "passed";
    const replayed = again
      ? "It was run again here, and gave the same bits."
      : "Whether the answer is the one that this model gives, running it again would show.";
    return { title: `Verified here: ${passed} checks passed`, words: replayed };
  }
  const open = steps.filter(({ state, detail }) => state === "skipped" && detail.startsWith("could"));
  const first = open[0] ? ` Step ${open[0].id}: ${open[0].detail}.` : "";
  return { title: "Nothing was refuted, and not everything could be checked", words: first.trim() };
}

function sentence(words) {
  return words.charAt(0).toUpperCase() + words.slice(1);
}
