// What is known of one box, as text: what it reads, what it gives, its attributes.

import { el } from "../dom.js";
import { typeWords } from "./skeleton.js";

/**
 * @param {import("./skeleton.js").Box[]} boxes
 * @param {number} at
 * @param {(box: number) => void} onFollow the reader goes to another box
 * @returns {Node[]}
 */
export function detailsOf(boxes, at, onFollow) {
  const box = boxes[at];
  const node = box.calls ? "Call of a function" : "Node";
  const heads = { input: "Input", node, output: "Output" };
  const facts = [
    ["Name", box.kind === "node" ? box.name : ""],
    ["Domain", box.domain],
    ["Holds", box.inner ? `graphs of ${box.inner} nodes, which are not drawn` : ""],
  ].filter(([, value]) => value);
  const title = el("h3", {}, `${heads[box.kind]} `, el("code", {}, box.title));
  const list = facts.flatMap(([name, value]) => {
    return [el("dt", {}, name), el("dd", { class: "wrap" }, value)];
  });
  return [
    title,
    ...(list.length ? [el("dl", { class: "facts" }, ...list)] : []),
    ...attributesOf(box),
    ...portsOf("Reads", box.inputs, boxes, onFollow),
    ...portsOf("Gives", box.outputs, boxes, onFollow),
  ];
}

function attributesOf({ attributes }) {
  if (attributes.length === 0) return [];
  const rows = attributes.flatMap(([name, value]) => [
    el("dt", {}, el("code", {}, name)),
    el("dd", { class: "wrap" }, el("code", {}, value || "not shown")),
  ]);
  return [el("h4", {}, "Attributes"), el("dl", { class: "facts long" }, ...rows)];
}

function portsOf(words, ports, boxes, onFollow) {
  if (ports.length === 0) return [];
  const items = ports.map(({ value, boxes: others }) => {
    const links = others.map((other) => {
      const follow = { type: "button", class: "link-button", onclick: () => onFollow(other) };
      const { kind, title } = boxes[other];
      return el("button", follow, kind === "node" ? title : `${kind} ${title}`);
    });
    const type = [value.weight ? "weight" : "", typeWords(value)].filter(Boolean).join(", ");
    const parts = [
      el("code", { class: "wrap" }, value.name),
      el("span", { class: "small muted" }, type),
      ...links,
    ];
    return el("li", {}, ...parts.flatMap((part, at) => (at ? [" ", part] : [part])));
  });
  return [el("h4", {}, words), el("ul", { class: "ports" }, ...items)];
}
