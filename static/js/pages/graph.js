// /models/<owner>/<name>/graph/: the drawing, when the reader asks for it.

import { byId, clearError, guarded, say } from "../dom.js";
import { ApiError } from "../api.js";

const place = byId("drawing");
const button = byId("draw-graph");

async function skeletonAt(address) {
  const response = await fetch(address).catch(() => null);
  if (response?.ok) return response.json();
  const told = (await response?.json().catch(() => null))?.error;
  const message = told?.message ?? "The server did not answer: try again.";
  throw new ApiError({ status: response?.status ?? 0, code: told?.code ?? "offline", message });
}

async function show() {
  // The drawing's scripts come only now: the page is light for who reads the summary.
  const [{ boxesOf, find }, { draw }, { detailsOf }, skeleton] = await Promise.all([
    import("../graph/skeleton.js"),
    import("../graph/view.js"),
    import("../graph/details.js"),
    skeletonAt(place.dataset.skeleton),
  ]);
  const graph = boxesOf(skeleton);
  byId("drawing-shown").hidden = false;
  const choose = (at) => {
    byId("graph-details").replaceChildren(...detailsOf(graph.boxes, at, follow));
  };
  const view = draw(byId("graph-svg"), graph, choose);
  const follow = (at) => {
    view.focus(at);
    view.choose(at);
  };
  for (const [id, act] of Object.entries({
    "zoom-in": view.zoomIn,
    "zoom-out": view.zoomOut,
    "zoom-fit": view.fit,
  })) {
    byId(id).addEventListener("click", act);
  }
  searching(graph, view, find);
  button.closest("p").hidden = true;
  byId("graph-search").focus({ preventScroll: true });
}

function searching({ boxes }, view, find) {
  const field = byId("graph-search");
  let found = [];
  let next = 0;
  field.addEventListener("input", () => {
    found = find(boxes, field.value);
    next = 0;
    view.mark(found);
    const words = found.length === 1 ? "1 match" : `${found.length} matches`;
    say("graph-found", field.value.trim() ? `${words}. Enter leads to the next.` : "");
  });
  field.form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!found.length) return;
    view.show(found[next]);
    view.choose(found[next]);
    next = (next + 1) % found.length;
    say("graph-found", `Match ${next || found.length} of ${found.length}.`);
  });
}

if (place && button) {
  byId("drawing-off").hidden = true;
  button.closest("p").hidden = false;
  button.addEventListener("click", () => {
    clearError("drawing-error");
    void guarded(button, "drawing-error", show);
  });
}
