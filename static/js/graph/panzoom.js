// What part of a drawing is seen: moved by dragging, enlarged by fingers, wheel, keys or buttons.

const [SMALLEST, LARGEST] = [0.05, 3];
const READABLE = 0.7;
const STEP = 1.25;

/**
 * Make `stage` movable inside `svg`.
 *
 * @param {SVGSVGElement} svg
 * @param {SVGGElement} stage
 * @param {{width: number, height: number}} size of the drawing
 */
export function panZoom(svg, stage, size) {
  const margin = 24;
  const view = { x: 0, y: 0, scale: 1 };
  const show = () => {
    stage.setAttribute("transform", `translate(${view.x} ${view.y}) scale(${view.scale})`);
  };
  const box = () => ({ width: svg.clientWidth || 1, height: svg.clientHeight || 1 });

  /** Enlarge about a point of the svg, by default its middle. */
  const zoom = (factor, at = { x: box().width / 2, y: box().height / 2 }) => {
    const scale = Math.min(LARGEST, Math.max(SMALLEST, view.scale * factor));
    view.x = at.x - ((at.x - view.x) * scale) / view.scale;
    view.y = at.y - ((at.y - view.y) * scale) / view.scale;
    view.scale = scale;
    show();
  };
  const place = (scale, y) => {
    view.scale = Math.max(SMALLEST, scale);
    view.x = (box().width - size.width * view.scale) / 2;
    view.y = y;
    show();
  };
  const fitting = (length, room) => Math.min(1, Math.max(room - 2 * margin, 1) / (length || 1));
  const fit = () => {
    const { width, height } = box();
    const scale = Math.min(fitting(size.width, width), fitting(size.height, height));
    place(scale, Math.max(margin, (height - size.height * scale) / 2));
  };
  /** Begin at the top, as large as can be read. */
  const begin = () => place(Math.max(READABLE, fitting(size.width, box().width)), margin);
  const move = (x, y) => {
    view.x += x;
    view.y += y;
    show();
  };
  /** Bring a point of the drawing into sight, if it is not. */
  const reveal = ({ x, y }) => {
    const { width, height } = box();
    const at = { x: view.x + x * view.scale, y: view.y + y * view.scale };
    const off = (value, room) => value < 80 || value > room - 80;
    if (off(at.x, width)) view.x += width / 2 - at.x;
    if (off(at.y, height)) view.y += height / 2 - at.y;
    show();
  };

  listen(svg, { move, zoom });
  begin();
  return { zoomIn: () => zoom(STEP), zoomOut: () => zoom(1 / STEP), fit, move, reveal };
}

function listen(svg, { move, zoom }) {
  const fingers = new Map();
  let moved = 0;
  const pointOf = (event) => {
    const { left, top } = svg.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  };
  svg.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    moved = 0;
    fingers.set(event.pointerId, pointOf(event));
  });
  svg.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const now = pointOf(event);
    moved += Math.hypot(now.x - before.x, now.y - before.y);
    // A click on a box stays one: the pointer is taken once it has moved.
    const free = !svg.hasPointerCapture(event.pointerId);
    if (moved > 4 && free) svg.setPointerCapture(event.pointerId);
    const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1];
    if (other) {
      const apart = (point) => Math.hypot(point.x - other.x, point.y - other.y) || 1;
      const middle = { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 };
      zoom(apart(now) / apart(before), middle);
    } else {
      move(now.x - before.x, now.y - before.y);
    }
    fingers.set(event.pointerId, now);
  });
  for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) {
    svg.addEventListener(name, ({ pointerId }) => fingers.delete(pointerId));
  }
  svg.addEventListener(
    "wheel",
    (event) => {
      // The wheel alone scrolls the page, as everywhere; trackpads say Ctrl when they pinch.
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      zoom(Math.exp(-event.deltaY / 300), pointOf(event));
    },
    { passive: false },
  );
}
