// The lines that send the request on the page, and the file that they read when it is long.

import { download, el } from "./dom.js";
import { snippetsOf } from "./run-snippets.js";
import { codeElement } from "./run-view.js";

/**
 * @param {HTMLElement} place
 * @param {Parameters<typeof snippetsOf>[0]} asked
 */
export function showSnippets(place, asked) {
  const { curl, python, assay, file } = snippetsOf(asked);
  const save = () => download("request.json", asked.body);
  const button = { type: "button", class: "button", onclick: save };
  place.replaceChildren(
    ...(file ? [el("p", {}, el("button", button, "Save request.json"))] : []),
    codeElement("assay run, with the digest pinned and the receipt verified", assay),
    codeElement("Python, with tritonclient", python),
    codeElement("curl", curl),
  );
}
