// As much of a browser's page as a form needs: elements with attributes and listeners, no layout.

const CONTEXT = new Proxy({}, { get: (own, name) => own[name] ?? (() => ({ data: own.pixels })) });

class Element extends EventTarget {
  attributes = new Map();
  children = [];
  hidden = false;
  open = false;
  value = "";
  dataset = {};
  clientWidth = 100;
  clientHeight = 100;
  clientLeft = 0;
  clientTop = 0;
  classList = { toggle() {}, contains: () => false, add() {} };

  constructor(tag) {
    super();
    this.tag = tag;
  }

  setAttribute(name, text) {
    this.attributes.set(name, text);
    if (name === "id") this.id = text;
    if (["value", "width", "height"].includes(name)) this[name] = text;
    if (name === "hidden") this.hidden = true;
  }

  getAttribute(name) {
    return this.attributes.get(name) ?? null;
  }

  removeAttribute(name) {
    this.attributes.delete(name);
  }

  append(...parts) {
    this.children.push(...parts);
  }

  replaceChildren(...parts) {
    this.children = parts;
  }

  get textContent() {
    return this.children.map((part) => part.textContent ?? part).join("");
  }

  set textContent(text) {
    this.children = [text];
  }

  get every() {
    return [this, ...this.children.flatMap((part) => part.every ?? [])];
  }

  querySelectorAll(tag) {
    return this.every.filter((part) => part.tag === tag);
  }

  getContext() {
    return CONTEXT;
  }

  getBoundingClientRect() {
    return { left: 0, top: 0 };
  }

  setPointerCapture() {}

  focus() {}
}

/** Fire an event as a browser does, with what it says. */
export function fire(element, type, said = {}) {
  const event = new Event(type, { cancelable: true });
  Object.defineProperty(event, "target", { value: element });
  element.dispatchEvent(Object.assign(event, said));
}

/**
 * Make a page of empty elements with these ids, which modules find as `document`.
 *
 * @param {...string} ids
 * @returns {Record<string, any>} the elements by id
 */
export function openPage(...ids) {
  const body = new Element("body");
  for (const id of ids) {
    const made = new Element("div");
    made.setAttribute("id", id);
    body.append(made);
  }
  const byId = (id) => body.every.find((one) => one.id === id) ?? null;
  globalThis.document = {
    ...{ body, documentElement: new Element("html"), getElementById: byId },
    createElement: (tag) => new Element(tag),
  };
  globalThis.matchMedia = () => new EventTarget();
  globalThis.getComputedStyle = () => ({ color: "black" });
  globalThis.MutationObserver = class {
    observe() {}
  };
  return Object.fromEntries(ids.map((id) => [id, byId(id)]));
}

/** Let the browser read every picture as `rgba`. */
export function showPictures(rgba) {
  CONTEXT.pixels = Uint8ClampedArray.from(rgba);
  globalThis.createImageBitmap = async () => ({ width: 2, height: 2, close() {} });
}
