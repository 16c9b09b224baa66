// /models/<owner>/<name>/run/: ask the model, show the answer, follow it into the ledger.

import { byId, clearError, el, evidenceWords, guarded } from "../dom.js";
import { csrfToken } from "../api.js";
import { curlLine, infer, inferAddress, sessionAddress, waitIncluded } from "../infer.js";
import { checkAnswer } from "../receipt-check.js";
import { parseRequest, planInput, renderRequest } from "../run-inputs.js";
import { readOutputs } from "../run-outputs.js";
import { codeElement, controlOf, evidenceLine, headline, readingElement } from "../run-view.js";

const main = document.querySelector("main[data-page=run]");
const form = byId("run-form");
const area = byId("inputs");
const hints = parseAttribute("card") || {};
const inputs = parseAttribute("inputs") || [];
const controls = [];
let byHand = false; // the reader edited the JSON after the fields
let asked = 0;

function parseAttribute(name) {
  try {
    return JSON.parse(form?.dataset[name] ?? "null");
  } catch {
    return null;
  }
}

function build() {
  const fields = byId("run-fields");
  if (!fields) return;
  let ready = false;
  const changed = () => {
    setByHand(false);
    if (ready) write();
  };
  inputs.forEach((input, index) => {
    const control = controlOf(planInput(input, hints), index, changed);
    if (control) controls.push({ name: input.name, ...control });
  });
  fields.replaceChildren(...controls.map(({ element }) => element));
  ready = true;
  const json = byId("run-json");
  setByHand(json?.open ?? false); // open from the start: it holds what the reader typed before
  if (json && controls.length < inputs.length) json.open = true;
  if (!byHand) write();
}

/** Write the fields into the JSON, where they can be; the other inputs keep what stands there. */
function write() {
  if (!area) return;
  try {
    area.value = renderRequest(compose());
  } catch {
    // A field is not filled in yet: said when it is sent.
  }
}

function compose(mark = false) {
  const given = new Map(controls.map(({ name, tensor }) => [name, tensor(mark)]));
  if (given.size === inputs.length) return inputs.map(({ name }) => given.get(name));
  return parseRequest(area?.value ?? "").inputs.map((item) => given.get(item?.name) ?? item);
}

/** Which of the two is sent, the fields or the JSON, is said where both are seen. */
function setByHand(edited) {
  byHand = edited;
  area?.removeAttribute("aria-invalid");
  const words = byId("run-by-hand");
  if (words) words.hidden = !edited || controls.length === 0;
}

async function asking() {
  try {
    await ask();
    byId("run-result")?.scrollIntoView({ block: "nearest" });
  } catch (error) {
    if (byHand) area?.setAttribute("aria-invalid", "true");
    throw error;
  }
}

async function ask() {
  const request = byHand ? parseRequest(area.value) : { inputs: compose(true) };
  const body = byHand ? typedRequest() : renderRequest(request.inputs);
  const { model, version = "" } = main.dataset;
  const address = inferAddress(model, version);
  const result = byId("run-result");
  const ticket = (asked += 1);
  result?.replaceChildren(el("p", { class: "muted" }, "Running…"));
  try {
    const { answer, text } = await send(model, version, body);
    const readings = readOutputs(answer.outputs, hints);
    const check = await checkAnswer(request, answer);
    const curl = curlLine(location.origin + address, body);
    const line = showAnswer(result, { readings, check, answer, text, curl });
    void follow(answer.parameters?.execution_id, line, ticket);
  } catch (error) {
    result?.replaceChildren(el("p", { class: "muted" }, "No answer."));
    throw error;
  }
}

/** Send the request as whoever is signed in here, else as anybody. */
function send(model, version, body) {
  if (!form.dataset.person) return infer(inferAddress(model, version), body);
  return infer(sessionAddress(model, version), body, { "X-CSRFToken": csrfToken() });
}

/** What the reader typed, character by character: JSON.parse would round large integers. */
function typedRequest() {
  const text = area.value.trim();
  return text.startsWith("[") ? `{"inputs": ${text}}` : text;
}

function showAnswer(result, { readings, check, answer, text, curl }) {
  const ledger = evidenceLine("pending", "signed; waiting for the ledger's next checkpoint");
  const id = answer.parameters?.execution_id ?? "";
  const links = el(
    "p",
    { class: "cluster" },
    el("a", { class: "button", href: `/executions/${id}/` }, "This execution and its evidence"),
    el("a", { href: `${receiptOf(id)}?wait=10`, download: "receipt.json" }, "Receipt"),
  );
  const said = headline(readings);
  result?.replaceChildren(
    ...(said ? [el("p", { class: "result-value" }, said)] : []),
    ...readings.map(readingElement),
    evidenceLine(check.state, evidenceWords(check.state, check.words)),
    ledger,
    ...(id ? [links] : []),
    details("The same request from a shell", codeElement("curl", curl)),
    details("The answer as it came", codeElement("JSON", text)),
  );
  return ledger;
}

/** The address on this origin: the one in the answer may have the site's other name. */
function receiptOf(id) {
  return `/executions/${id}/receipt`;
}

function details(words, content) {
  return el("details", {}, el("summary", {}, words), el("div", { class: "push" }, content));
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

if (form) {
  build();
  area?.addEventListener("input", () => setByHand(true));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearError("run-error");
    void guarded(byId("run"), "run-error", asking);
  });
}
