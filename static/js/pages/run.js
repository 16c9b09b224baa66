// /models/<owner>/<name>/run/: ask the model, show the answer, follow it into the ledger.

import { byId, clearError, el, evidenceWords, guarded } from "../dom.js";
import { csrfToken } from "../api.js";
import { FormatError } from "../assay/errors.js";
import { tensorFromJson } from "../assay/oip.js";
import { tensorDigest } from "../assay/tensors.js";
import { parseExact } from "../exact-json.js";
import { infer, inferAddress, sessionAddress, waitIncluded } from "../infer.js";
import { checkAnswer, readStatement } from "../receipt-check.js";
import { RunForm } from "../run-form.js";
import { readOutputs } from "../run-outputs.js";
import { answerElements, codeElement, evidenceLine } from "../run-view.js";

const main = document.querySelector("main[data-page=run]");
const form = byId("run-form");
const hints = parseAttribute("card") || {};
const local = parseAttribute("local");
const twin = { server: null, here: null }; // the last answers of the same question, compared
let asked = 0;
let changes = 0; // of the inputs, by the reader
const BAD_REQUEST = 400;

function parseAttribute(name) {
  try {
    return parseExact(form?.dataset[name] ?? "null");
  } catch {
    return null;
  }
}

/** Ask in one way at a time: there is one place for the answer. */
async function attempt(run, action, otherButton) {
  const before = changes;
  const other = byId(otherButton);
  if (other) other.disabled = true;
  try {
    await action(run.read());
    if (changes !== before) markOld();
    byId("run-result")?.scrollIntoView({ block: "nearest" });
  } catch (error) {
    if (error instanceof FormatError || error?.status === BAD_REQUEST) run.markFault();
    throw error;
  } finally {
    if (other) other.disabled = false;
  }
}

/** An answer that stands beside other inputs than it is to says so. */
function markOld() {
  const result = byId("run-result");
  if (!result?.querySelector(".evidence-state") || byId("run-old")) return;
  const words = "You changed the inputs: this is the answer to the ones before.";
  result.prepend(el("p", { class: "callout warn", id: "run-old" }, words));
}

async function ask({ request, body }) {
  const { model, version = "" } = main.dataset;
  const result = byId("run-result");
  const ticket = (asked += 1);
  result?.replaceChildren(el("p", { class: "muted" }, "Running…"));
  try {
    const { answer, text } = await send(model, version, body);
    const readings = readOutputs(answer.outputs, hints);
    const check = await checkAnswer(request, answer);
    const line = showAnswer(result, { readings, check, answer, text });
    await compare("server", request, signedOutput(answer));
    void follow(answer.parameters?.execution_id, line, ticket);
  } catch (error) {
    result?.replaceChildren(el("p", { class: "muted" }, "No answer."));
    throw error;
  }
}

async function askHere({ request }) {
  asked += 1;
  const { showRunHere } = await import("../run-here.js");
  const ran = await showRunHere(local, request, hints);
  if (ran) await compare("here", request, ran);
}

/** Send the request as whoever is signed in here, else as anybody. */
function send(model, version, body) {
  if (!form.dataset.person) return infer(inferAddress(model, version), body);
  return infer(sessionAddress(model, version), body, { "X-CSRFToken": csrfToken() });
}

function signedOutput(answer) {
  try {
    const { predicate } = readStatement(answer.parameters?.receipt);
    const { digest } = predicate.output;
    return digest && { digest: digest.sha256, runtime: predicate.runtime.digest.sha256 };
  } catch {
    return null; // said above, by the check of the answer
  }
}

/** Say whether server and browser gave the same bits, once both have answered one question. */
async function compare(where, request, found) {
  const input = await tensorDigest(request.inputs.map(tensorFromJson)).catch(() => "");
  twin[where] = found && input ? { ...found, input } : null;
  const { server, here } = twin;
  if (!server || !here || server.input !== here.input) return;
  const same = server.digest === here.digest;
  const other = server.runtime !== here.runtime ? " They ran in two runtimes." : "";
  const words = same
    ? "the server's signed output and this browser's have the same bits."
    : `the server signed ${server.digest}, this browser computed ${here.digest}.${other}`;
  const state = same ? "checked" : "failed";
  const line = evidenceLine(state, evidenceWords(state, words));
  line.id = "run-twin";
  byId("run-result")?.append(line);
}

function showAnswer(result, { readings, check, answer, text }) {
  const ledger = evidenceLine("pending", "signed; waiting for the ledger's next checkpoint");
  const id = answer.parameters?.execution_id ?? "";
  const links = el(
    "p",
    { class: "cluster" },
    el("a", { class: "button", href: `/executions/${id}/` }, "This execution and its evidence"),
    el("a", { href: `${receiptOf(id)}?wait=10`, download: "receipt.json" }, "Receipt"),
  );
  const raw = el("div", { class: "push" }, codeElement("JSON", text));
  result?.replaceChildren(
    ...answerElements(readings),
    evidenceLine(check.state, evidenceWords(check.state, check.words)),
    ledger,
    ...(id ? [links] : []),
    el("details", {}, el("summary", {}, "The answer as it came"), raw),
  );
  return ledger;
}

/** The address on this origin: the one in the answer may have the site's other name. */
function receiptOf(id) {
  return `/executions/${id}/receipt`;
}

/** Tell when a checkpoint covers the entry, unless another question was asked meanwhile. */
async function follow(id, line, ticket) {
  if (!id) return;
  const included = await waitIncluded(receiptOf(id));
  if (ticket !== asked) return;
  const words = included
    ? `server says: entry ${included.index}, in checkpoint ${included.size}`
    : "no checkpoint covers the entry yet; the execution's page will say when one does";
  line.replaceWith(evidenceLine(included ? "server" : "unknown", words));
}

async function showCode(run) {
  const place = byId("run-snippets");
  const details = byId("run-code");
  if (!place || !details?.open) return;
  const shown = run.peek();
  if (!shown) {
    place.replaceChildren(el("p", { class: "muted" }, "Fill in the inputs first."));
    return;
  }
  const { showSnippets } = await import("../run-code.js");
  const { model, revision, manifest } = main.dataset;
  showSnippets(place, { origin: location.origin, model, revision, manifest, body: shown.body });
}

function listenForFiles(run) {
  const take = (file) => {
    clearError("run-error");
    void guarded(null, "run-error", () => run.take(file));
  };
  byId("run-file-input")?.addEventListener("change", ({ target }) => {
    if (target.files[0]) take(target.files[0]);
    target.value = "";
  });
  const over = (on) => (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    form.toggleAttribute("data-over", on);
  };
  form.addEventListener("dragover", over(true));
  form.addEventListener("dragleave", over(false));
  form.addEventListener("drop", (event) => {
    over(false)(event);
    const [file] = event.dataTransfer?.files ?? [];
    if (file) take(file);
  });
}

if (form) {
  const inputs = parseAttribute("inputs") || [];
  const onChange = () => {
    changes += 1;
    markOld();
    void showCode(run);
  };
  const run = new RunForm({ form, inputs, hints, onChange });
  listenForFiles(run);
  // Firefox keeps a button out of use when the page is loaded again during a run.
  for (const id of ["run", "run-here"]) byId(id)?.toggleAttribute("disabled", false);
  byId("run-code")?.addEventListener("toggle", () => void showCode(run));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearError("run-error");
    if (byId("run").disabled) return; // an answer is on its way
    void guarded(byId("run"), "run-error", () => attempt(run, ask, "run-here"));
  });
  byId("run-here")?.addEventListener("click", () => {
    clearError("run-error");
    void guarded(byId("run-here"), "run-error", () => attempt(run, askHere, "run"));
  });
}
