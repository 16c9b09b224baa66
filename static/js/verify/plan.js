// What the page checks, in its order, and how each step stands. No page in here: `node --test` runs
// it.
//
// Three parts: what the reader believes (A and B), the numbered steps of `assay verify` (1 to 14),
// and the answer itself, run again (15 to 17). A step waits, runs, and then has passed, has failed
// or was skipped, and the last three say why.

/** @typedef {"waiting" | "running" | "passed" | "failed" | "skipped"} State */
/**
 * @typedef {object} Step
 * @property {string} id "A", "B", or the number
 * @property {string} title what is asked
 * @property {State} state
 * @property {string} detail what was compared, or why it was not
 * @property {string} [expected] on failure, where two values differ
 * @property {string} [found]
 */

export const PARTS = Object.freeze([
  {
    title: "What you believe",
    steps: [
      ["A", "The keys that this browser believes"],
      ["B", "The newest checkpoint continues the one seen here before"],
    ],
  },
  {
    title: "The receipt",
    steps: [
      ["1", "The question makes sense"],
      ["2", "The file is a Sigstore bundle v0.3"],
      ["3", "It is of the kind taken here"],
      ["4", "The key signed the statement"],
      ["5", "The log entry is this claim's"],
      ["6", "The log and its witnesses signed the tree"],
      ["7", "The unsigned copies agree"],
      ["8", "The claim is in the tree"],
      ["9", "The tree continues the one remembered"],
      ["10", "The statement is of the type asked for"],
      ["11", "The subject is the thing at hand"],
      ["12", "The key may sign this"],
      ["13", "The statement agrees with its entry"],
      ["14", "How fresh it is"],
    ],
  },
  {
    title: "The answer, run again",
    steps: [
      ["15", "The model is the one that the receipt names"],
      ["16", "It runs again here"],
      ["17", "The bits are the same"],
    ],
  },
]);

const ENDED = new Set(["passed", "failed", "skipped"]);

/** The steps of one check; whoever shows them is told of each change. */
export class Plan {
  #steps = new Map();
  #onChange;

  /** @param {(step: Step) => void} [onChange] */
  constructor(onChange = () => {}) {
    this.#onChange = onChange;
    for (const [id, title] of PARTS.flatMap(({ steps }) => steps)) {
      this.#steps.set(id, { id, title, state: "waiting", detail: "" });
    }
  }

  /** @returns {Step[]} copies, in order */
  get steps() {
    return [...this.#steps.values()].map((step) => ({ ...step }));
  }

  /** @param {string} id @returns {Step} */
  step(id) {
    return { ...this.#steps.get(id) };
  }

  run(id, detail = "") {
    this.#set(id, { state: "running", detail });
  }

  pass(id, detail, title = "") {
    this.#set(id, { state: "passed", detail, ...(title ? { title } : {}) });
  }

  skip(id, detail) {
    this.#set(id, { state: "skipped", detail });
  }

  /**
   * An error's words are those of the step: refused and malformed fail, what could not be asked or
   * was not there skips.
   *
   * @param {string} id
   * @param {any} error
   */
  end(id, error) {
    const skips = ["UnavailableError", "MisuseError", "AbortError"].includes(error?.name);
    const { expected, found } = error ?? {};
    const differ = expected || found ? { expected: expected ?? "", found: found ?? "" } : {};
    const words = skips ? `could not check: ${messageOf(error)}` : messageOf(error);
    this.#set(id, { state: skips ? "skipped" : "failed", detail: words, ...differ });
  }

  /** Skip every step that has not ended. */
  skipRest(detail, ids = [...this.#steps.keys()]) {
    for (const id of ids) if (!this.ended(id)) this.skip(id, detail);
  }

  /** Return to waiting, for another attempt. */
  reset(ids) {
    for (const id of ids) this.#set(id, { state: "waiting", detail: "" });
  }

  ended(id) {
    return ENDED.has(this.#steps.get(id).state);
  }

  /** @returns {string | null} the first of the numbered steps that has not ended */
  next() {
    return this.#numbered().find((id) => !this.ended(id)) ?? null;
  }

  /** @returns {"waiting" | "failed" | "verified" | "partly"} how the receipt as such stands */
  get verdict() {
    const steps = [...this.#steps.values()];
    if (steps.some(({ state }) => state === "failed")) return "failed";
    const numbered = this.#numbered().map((id) => this.#steps.get(id));
    if (numbered.some(({ state }) => !ENDED.has(state))) return "waiting";
    const open = ({ state, detail }) => state === "skipped" && !isLeftOut(detail);
    return numbered.some(open) ? "partly" : "verified";
  }

  #numbered() {
    return PARTS[1].steps.map(([id]) => id);
  }

  #set(id, change) {
    const step = this.#steps.get(id);
    delete step.expected;
    delete step.found;
    Object.assign(step, change);
    this.#onChange({ ...step });
  }
}

const LEFT_OUT = "does not apply: ";

/** Return the words of a step that this kind of claim does not have. */
export function leftOut(why) {
  return LEFT_OUT + why;
}

/** @param {string} detail @returns {boolean} */
export function isLeftOut(detail) {
  return detail.startsWith(LEFT_OUT);
}

/** The values stand beside the words on the page, so the words need not hold them. */
function messageOf(error) {
  const message = String(error?.message ?? error);
  const values = ` (expected ${error?.expected}, found ${error?.found})`;
  return message.endsWith(values) ? message.slice(0, -values.length) : message;
}
