// What will be asked: the fields, the JSON that the reader edited, or the inputs of a file.

import { byId, el } from "./dom.js";
import { MOST_SHOWN, parseRequest, planInput, renderRequest } from "./run-inputs.js";
import { examplesOf, readInputs } from "./run-values.js";
import { controlOf } from "./run-view.js";

/** @typedef {{request: {inputs: any[]}, body: string}} Asked `body` is what is sent */

/** The form of the Run tab; `onChange` is told whenever another request would be sent. */
export class RunForm {
  #controls = [];
  #given = null; // inputs that no control shows: of a file, or a large example
  #before = ""; // what the JSON said before they stood there
  #byHand = false; // the reader edited the JSON after the fields

  /**
   * @param {{form: HTMLFormElement, inputs: import("./run-inputs.js").Input[],
   *   hints: import("./run-inputs.js").Hints, onChange: () => void}} options
   */
  constructor({ form, inputs, hints, onChange }) {
    this.form = form;
    this.inputs = inputs;
    this.onChange = onChange;
    this.area = byId("inputs");
    this.#build(hints);
    this.#showExamples(examplesOf(hints, inputs));
    this.#listen();
  }

  /**
   * Return what is to be sent; marks the fields that are not filled in.
   *
   * @returns {Asked}
   * @throws {FormatError} a field is not filled in, or the JSON is none
   */
  read() {
    if (this.#byHand) return { request: parseRequest(this.area.value), body: this.#typed() };
    const request = { inputs: this.#given ?? this.#compose(true) };
    return { request, body: renderRequest(request.inputs) };
  }

  /** @returns {Asked | null} as `read`, null where that would throw; marks nothing */
  peek() {
    try {
      if (this.#byHand) return { request: parseRequest(this.area.value), body: this.#typed() };
      const request = { inputs: this.#given ?? this.#compose() };
      return { request, body: renderRequest(request.inputs) };
    } catch {
      return null;
    }
  }

  /** Show that the request cannot be read, where the reader wrote it. */
  markFault() {
    if (this.#byHand) this.area?.setAttribute("aria-invalid", "true");
  }

  /**
   * Take a file: a picture goes to the first input that takes one, all else is inputs.
   *
   * @param {File} file
   * @throws {FormatError} neither
   */
  async take(file) {
    const control = this.#controls.find(({ take }) => take);
    if (control && file.type.startsWith("image/")) return control.take(file);
    const bytes = new Uint8Array(await file.arrayBuffer());
    return this.#fill(readInputs(bytes, this.inputs).inputs, file.name);
  }

  #build(hints) {
    const fields = byId("run-fields");
    if (!fields) return;
    let ready = false;
    const changed = () => {
      if (ready) this.#backToForm();
    };
    this.inputs.forEach((input, index) => {
      const control = controlOf(planInput(input, hints), index, changed);
      if (control) this.#controls.push({ name: input.name, ...control });
    });
    fields.replaceChildren(...this.#controls.map(({ element }) => element));
    ready = true;
    const json = byId("run-json");
    this.#setByHand(json?.open ?? false); // open from the start: it holds what was typed before
    if (json && this.#controls.length < this.inputs.length) json.open = true;
    if (!this.#byHand) this.#write();
  }

  #listen() {
    this.area?.addEventListener("input", () => {
      this.#given = null;
      this.#press(null);
      this.#setByHand(true);
      this.onChange();
    });
  }

  #showExamples(examples) {
    const place = byId("run-examples");
    // A single one stands in the fields already.
    const known = examples.filter(({ inputs }) => examples.length > 1 || !this.#shows(inputs));
    if (!place || known.length === 0) return;
    place.replaceChildren(
      el("span", { class: "muted" }, "Try"),
      ...known.map((example) => this.#exampleButton(example)),
    );
    place.hidden = false;
  }

  #exampleButton({ title, inputs }) {
    const look = { class: "button example", "aria-pressed": String(this.#shows(inputs)) };
    const pictures = inputs.map((tensor) => this.#controlOf(tensor)?.picture?.(tensor) ?? null);
    const button = el("button", { type: "button", ...look }, ...pictures, title);
    button.addEventListener("click", () => {
      this.#fill(inputs, `the example “${title}”`);
      this.#press(button);
    });
    return button;
  }

  /** Show which example is asked about, if one is. */
  #press(pressed) {
    for (const button of byId("run-examples")?.querySelectorAll("button") ?? []) {
      button.setAttribute("aria-pressed", String(button === pressed));
    }
  }

  #controlOf({ name }) {
    return this.#controls.find((control) => control.name === name);
  }

  #shows(inputs) {
    const shown = this.peek();
    return shown !== null && JSON.stringify(shown.request.inputs) === JSON.stringify(inputs);
  }

  /** Show inputs in the fields where all of them fit, else say that they are taken as they are. */
  #fill(inputs, whence) {
    if (inputs.every((tensor) => this.#controlOf(tensor)?.fill?.(tensor))) return;
    if (!this.#given) this.#before = this.area?.value ?? "";
    this.#given = inputs;
    this.#press(null);
    this.#setByHand(false);
    this.#write();
    const back = () => this.#backToForm();
    const words = inputs.map(({ name, datatype, shape }) => {
      return `${name}: ${datatype} [${shape.join(", ")}]`;
    });
    const look = { type: "button", class: "button", onclick: back };
    const drop = el("button", look, "Use the form instead");
    this.#tell(el("p", {}, `Sent is ${whence}: ${words.join("; ")}.`), drop);
    this.onChange();
  }

  /** Send what the fields say, and beside them what the JSON said before other inputs came. */
  #backToForm() {
    if (this.#given && this.area) this.area.value = this.#before;
    this.#given = null;
    this.#press(null);
    this.#setByHand(false);
    this.#write();
    this.onChange();
  }

  #tell(...children) {
    const place = byId("run-given");
    place?.replaceChildren(...children);
    if (place) place.hidden = children.length === 0;
  }

  /** Write the request into the JSON, where it can be; other inputs keep what stands there. */
  #write() {
    if (!this.area) return;
    try {
      this.area.value = renderRequest(this.#given ?? this.#compose(), MOST_SHOWN);
    } catch {
      // A field is not filled in yet: said when it is sent.
    }
  }

  #compose(mark = false) {
    const given = new Map(this.#controls.map(({ name, tensor }) => [name, tensor(mark)]));
    if (given.size === this.inputs.length) return this.inputs.map(({ name }) => given.get(name));
    const written = parseRequest(this.area?.value ?? "").inputs;
    return written.map((item) => given.get(item?.name) ?? item);
  }

  /** What the reader typed, character by character: JSON.parse would round large integers. */
  #typed() {
    const text = this.area.value.trim();
    return text.startsWith("[") ? `{"inputs": ${text}}` : text;
  }

  /** Which of the two is sent, the fields or the JSON, is said where both are seen. */
  #setByHand(edited) {
    this.#byHand = edited;
    this.area?.removeAttribute("aria-invalid");
    if (!this.#given) this.#tell();
    const words = byId("run-by-hand");
    if (words) words.hidden = !edited || this.#controls.length === 0;
  }
}
