// A drawing is kept as strokes, so that the model gets them at the size its training data had.

const SAMPLES = 4; // per side of a cell: the ink is counted on a grid 4 times as fine
const SMALL = 16; // up to this many cells a side, data sets let the digit fill the picture
const MOST_GROWTH = 6; // a dot stays a dot

/**
 * @typedef {{x: number, y: number}} Point in shares of the paper's sides, 0 to 1
 * @typedef {Point[]} Stroke
 */

/**
 * Return `rows` × `columns` values, row by row: the ink in each cell, from `range[0]` (paper) to
 * `range[1]` (full ink). The strokes are centred, and grown or shrunk as a whole until they fill the
 * picture (a small one to its edges, a larger one to a margin of a seventh), under a pen whose
 * width depends on the picture alone: how large one draws makes no difference.
 *
 * @param {Stroke[]} strokes
 * @param {{columns: number, rows: number}} grid
 * @param {[number, number]} range
 * @returns {Float64Array}
 */
export function shrink(strokes, { columns, rows }, [low, high]) {
  const side = Math.min(columns, rows);
  const pen = side <= SMALL ? Math.min(1.7, side / 4) : side / 11;
  const margin = side <= SMALL ? 0 : side / 7;
  const placed = place(strokes, { columns, rows }, { margin: margin + pen / 2 });
  const fine = { width: columns * SAMPLES, height: rows * SAMPLES };
  const inked = new Uint8Array(fine.width * fine.height);
  for (const stroke of placed) {
    stroke.forEach((point, index) => ink(inked, fine, stroke[Math.max(0, index - 1)], point, pen));
  }
  const counts = new Float64Array(rows * columns);
  inked.forEach((on, index) => {
    const row = Math.floor(index / fine.width / SAMPLES);
    const column = Math.floor((index % fine.width) / SAMPLES);
    counts[row * columns + column] += on;
  });
  return counts.map((count) => low + (high - low) * (count / SAMPLES ** 2));
}

/** Return the strokes in cells, their common box in the middle of the grid. */
function place(strokes, { columns, rows }, { margin }) {
  const points = strokes.flat();
  const across = extent(points.map(({ x }) => x));
  const down = extent(points.map(({ y }) => y));
  const scale = Math.min(
    (columns - 2 * margin) / across.length,
    (rows - 2 * margin) / down.length,
    MOST_GROWTH * Math.min(columns, rows),
  );
  return strokes.map((stroke) =>
    stroke.map(({ x, y }) => ({
      x: (x - across.middle) * scale + columns / 2,
      y: (y - down.middle) * scale + rows / 2,
    })),
  );
}

function extent(values) {
  const low = values.reduce((least, value) => Math.min(least, value), Infinity);
  const high = values.reduce((most, value) => Math.max(most, value), -Infinity);
  return { length: high - low, middle: (low + high) / 2 };
}

/** Mark the samples that lie within half a pen of the line from `start` to `end` (in cells). */
function ink(inked, { width, height }, start, end, pen) {
  const reach = pen / 2;
  const first = (a, b) => Math.max(0, Math.floor((Math.min(a, b) - reach) * SAMPLES));
  const last = (a, b, most) => Math.min(most, Math.ceil((Math.max(a, b) + reach) * SAMPLES));
  const [alongX, alongY] = [end.x - start.x, end.y - start.y];
  const square = alongX ** 2 + alongY ** 2;
  for (let row = first(start.y, end.y); row < last(start.y, end.y, height); row += 1) {
    for (let column = first(start.x, end.x); column < last(start.x, end.x, width); column += 1) {
      const x = (column + 0.5) / SAMPLES - start.x;
      const y = (row + 0.5) / SAMPLES - start.y;
      const share = square && Math.min(1, Math.max(0, (x * alongX + y * alongY) / square));
      const away = Math.hypot(x - share * alongX, y - share * alongY);
      if (away <= reach) inked[row * width + column] = 1;
    }
  }
}

/**
 * Let the reader draw on `canvas` with mouse, finger or pen, in the colour of its text.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {() => void} onChange after each stroke
 * @param {() => HTMLCanvasElement | null} [under] a picture in large cells to show instead
 * @returns {{clear: () => void, paint: () => void, strokes: () => Stroke[]}}
 */
export function drawOn(canvas, onChange, under = () => null) {
  let strokes = [];
  let drawing = null; // the stroke under the pointer
  const paint = () => {
    paintStrokes(canvas, strokes);
    const picture = under();
    if (picture) paintLarge(canvas, picture);
  };
  const at = ({ clientX, clientY }) => {
    const box = canvas.getBoundingClientRect();
    const x = (clientX - box.left - canvas.clientLeft) / canvas.clientWidth;
    return { x, y: (clientY - box.top - canvas.clientTop) / canvas.clientHeight };
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    event.preventDefault();
    canvas.setPointerCapture(event.pointerId);
    drawing = [at(event)];
    strokes.push(drawing);
    paint();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!drawing) return;
    const steps = event.getCoalescedEvents?.() ?? [];
    drawing.push(...(steps.length ? steps : [event]).map(at));
    paint();
  });
  const end = () => {
    if (!drawing) return;
    drawing = null;
    onChange();
  };
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, end);
  const clear = () => {
    strokes = [];
    paint();
  };
  onThemeChange(paint);
  return { clear, paint, strokes: () => strokes };
}

/** Paint a picture as large as the paper, each of its pixels a square. */
function paintLarge(canvas, picture) {
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
}

/** Paint the strokes as they were drawn, with a round pen a twelfth of the paper wide. */
function paintStrokes(canvas, strokes) {
  const { width, height } = canvas;
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, width, height);
  context.strokeStyle = getComputedStyle(canvas).color;
  Object.assign(context, { lineWidth: width / 12, lineCap: "round", lineJoin: "round" });
  for (const [first, ...rest] of strokes) {
    context.beginPath();
    context.moveTo(first.x * width, first.y * height);
    for (const { x, y } of rest.length ? rest : [first]) context.lineTo(x * width, y * height);
    context.stroke();
  }
}

/**
 * Paint `shares` (0 paper, 1 ink), one pixel a cell, in the colour of the canvas's text.
 *
 * @param {HTMLCanvasElement} canvas as many pixels as there are cells
 * @param {() => ArrayLike<number>} shares
 * @returns {() => void} paints it again
 */
export function showCells(canvas, shares) {
  const paint = () => {
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.fillStyle = getComputedStyle(canvas).color;
    Array.from(shares()).forEach((share, index) => {
      context.globalAlpha = share;
      context.fillRect(index % canvas.width, Math.floor(index / canvas.width), 1, 1);
    });
  };
  onThemeChange(paint);
  return paint;
}

function onThemeChange(run) {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", run);
  const options = { attributes: true, attributeFilter: ["data-theme"] };
  new MutationObserver(run).observe(document.documentElement, options);
}
