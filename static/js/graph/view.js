// The drawing: an SVG of boxes and lines, with one box of it in the tab order.

import { HEIGHT, layOut } from "./layout.js";
import { panZoom } from "./panzoom.js";

const SVG = "http://www.w3.org/2000/svg";
const [NARROWEST, WIDEST] = [88, 230];
const LETTER = 8; // of a title, about
const MOVE = 60;

/**
 * Draw a graph.
 *
 * @param {SVGSVGElement} svg
 * @param {{boxes: import("./skeleton.js").Box[], lines: {from: number, to: number}[]}} graph
 * @param {(box: number) => void} onChoose
 */
export function draw(svg, { boxes, lines }, onChoose) {
  const plan = layOut(boxes.map(widthOf), lines);
  const stage = make("g", {});
  const drawn = lines.map((line, at) => make("path", { class: "line", d: curve(plan.paths[at]) }));
  const groups = boxes.map((box, at) => boxElement(box, plan.spots[at], at));
  stage.append(...drawn, ...groups);
  svg.replaceChildren(stage);
  const moving = panZoom(svg, stage, plan);
  let current = 0;

  /** Bring a box into sight, and to where Tab leads; the focus stays where it is. */
  const show = (at) => {
    groups[current]?.setAttribute("tabindex", "-1");
    current = at;
    groups[at].setAttribute("tabindex", "0");
    moving.reveal({ x: plan.spots[at].x, y: plan.spots[at].y + HEIGHT / 2 });
  };
  const focus = (at) => {
    show(at);
    groups[at].focus({ preventScroll: true });
  };
  const choose = (at) => {
    groups.forEach((group, other) => group.setAttribute("aria-pressed", String(other === at)));
    lines.forEach(({ from, to }, line) => {
      drawn[line].classList.toggle("near", from === at || to === at);
    });
    onChoose(at);
  };
  const mark = (found) => {
    const hits = new Set(found);
    groups.forEach((group, at) => group.classList.toggle("hit", hits.has(at)));
  };
  groups[0]?.setAttribute("tabindex", "0");
  const boxAt = (event) => groups.indexOf(event.target.closest?.(".box"));
  svg.addEventListener("click", (event) => {
    const at = boxAt(event);
    if (at < 0) return;
    focus(at);
    choose(at);
  });
  const keys = keysOf({ boxes, plan, moving, focus, choose, now: () => current });
  svg.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const moved = event.shiftKey ? MOVES[event.key] : undefined;
    const act = moved ? () => moving.move(...moved) : keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
  return { ...moving, show, focus, choose, mark };
}

const MOVES = {
  ArrowUp: [0, MOVE],
  ArrowDown: [0, -MOVE],
  ArrowLeft: [MOVE, 0],
  ArrowRight: [-MOVE, 0],
};

/** Arrows follow the lines and the layers; what else a key does stands under the drawing. */
function keysOf({ boxes, plan, moving, focus, choose, now }) {
  const layerOf = new Map(plan.layers.flatMap((layer, row) => layer.map((box) => [box, row])));
  const along = (ports) => {
    const next = ports.flatMap((port) => port.boxes)[0];
    if (next !== undefined) focus(next);
  };
  const aside = (step) => {
    const layer = plan.layers[layerOf.get(now())];
    const next = layer[layer.indexOf(now()) + step];
    if (next !== undefined) focus(next);
  };
  return {
    ArrowDown: () => along(boxes[now()].outputs),
    ArrowUp: () => along(boxes[now()].inputs),
    ArrowLeft: () => aside(-1),
    ArrowRight: () => aside(1),
    Home: () => focus(plan.layers[0][0]),
    End: () => focus(plan.layers.at(-1)[0]),
    Enter: () => choose(now()),
    " ": () => choose(now()),
    "+": moving.zoomIn,
    "=": moving.zoomIn,
    "-": moving.zoomOut,
    0: moving.fit,
  };
}

function widthOf({ title, subtitle }) {
  const letters = Math.max(title.length, subtitle.length * 0.85);
  return Math.min(WIDEST, Math.max(NARROWEST, letters * LETTER + 24));
}

function boxElement(box, { x, y, width }, at) {
  const room = Math.floor((width - 16) / LETTER);
  const kinds = ["box", box.kind, box.weighted ? "weighted" : "", box.inner ? "holds" : ""];
  const group = make("g", {
    class: kinds.filter(Boolean).join(" "),
    ...{ role: "button", tabindex: -1, "aria-pressed": false, "data-box": at },
    "aria-label": [KINDS[box.kind], box.title, box.subtitle].filter(Boolean).join(" "),
  });
  const corner = box.kind === "node" ? 5 : HEIGHT / 2;
  const frame = { x: x - width / 2, y, width, height: HEIGHT, rx: corner };
  group.append(make("rect", frame));
  const middle = { x, "text-anchor": "middle" };
  const low = box.subtitle ? 20 : 28;
  group.append(make("text", { ...middle, y: y + low, class: "title" }, cut(box.title, room)));
  if (!box.subtitle) return group;
  const small = cut(box.subtitle, Math.floor(room / 0.85));
  group.append(make("text", { ...middle, y: y + 36, class: "subtitle" }, small));
  return group;
}

const KINDS = { input: "input", node: "", output: "output" };

/** A line through the points, upright at both ends and in every layer that it passes. */
function curve([first, ...rest]) {
  let last = first;
  const parts = rest.map((point) => {
    const bend = (last.y + point.y) / 2;
    const part = `C${last.x} ${bend} ${point.x} ${bend} ${point.x} ${point.y}`;
    last = point;
    return part;
  });
  return `M${first.x} ${first.y}${parts.join("")}`;
}

function cut(text, room) {
  return text.length <= room ? text : `${text.slice(0, Math.max(room - 1, 1))}…`;
}

function make(tag, attributes, text = "") {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  if (text) element.textContent = text;
  return element;
}
