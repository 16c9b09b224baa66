// A drawing becomes a tensor: white ink on black paper, averaged over areas.

/**
 * Return `rows` × `columns` values, row by row: the mean ink of each area of the picture, from
 * `range[0]` (paper) to `range[1]` (full ink). An area may cut pixels: they count by their share.
 *
 * @param {ArrayLike<number>} rgba 4 bytes per pixel; the red channel is the ink
 * @param {{width: number, height: number}} picture
 * @param {{columns: number, rows: number}} grid
 * @param {[number, number]} range
 * @returns {Float64Array}
 */
export function downsample(rgba, { width, height }, { columns, rows }, [low, high]) {
  const across = shares(width, columns);
  const down = shares(height, rows);
  const area = (width / columns) * (height / rows);
  const values = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      let ink = 0;
      for (const [y, tall] of down[row]) {
        for (const [x, wide] of across[column]) ink += rgba[(y * width + x) * 4] * tall * wide;
      }
      values[row * columns + column] = low + (high - low) * (ink / 255 / area);
    }
  }
  return values;
}

/** Return for each cell the (pixel, share of it) pairs that lie under the cell. */
function shares(length, cells) {
  const size = length / cells;
  return Array.from({ length: cells }, (_, cell) => {
    const [start, end] = [cell * size, (cell + 1) * size];
    const pairs = [];
    for (let pixel = Math.floor(start); pixel < end && pixel < length; pixel += 1) {
      const share = Math.min(pixel + 1, end) - Math.max(pixel, start);
      if (share > 1e-9) pairs.push([pixel, share]);
    }
    return pairs;
  });
}

/**
 * Let the reader draw on `canvas` with mouse, finger or pen.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {() => void} onChange after each stroke, and after it was cleared
 * @returns {{clear: () => void, empty: () => boolean, pixels: () => ImageData}}
 */
export function drawOn(canvas, onChange) {
  const context = canvas.getContext("2d", { willReadFrequently: true });
  let last = null;
  let empty = true;
  const clear = () => {
    context.fillStyle = "#000000";
    context.fillRect(0, 0, canvas.width, canvas.height);
    empty = true;
    onChange();
  };
  const at = ({ clientX, clientY }) => {
    const box = canvas.getBoundingClientRect();
    const x = ((clientX - box.left - canvas.clientLeft) / canvas.clientWidth) * canvas.width;
    return { x, y: ((clientY - box.top - canvas.clientTop) / canvas.clientHeight) * canvas.height };
  };
  const lineTo = (point) => {
    context.beginPath();
    context.moveTo(last.x, last.y);
    context.lineTo(point.x, point.y);
    context.stroke();
    last = point;
    empty = false;
  };
  const start = (event) => {
    if (event.button !== 0) return;
    event.preventDefault();
    canvas.setPointerCapture(event.pointerId);
    last = at(event);
    lineTo({ x: last.x + 0.01, y: last.y }); // a dot, where the pointer does not move
  };
  const move = (event) => {
    if (!last) return;
    for (const step of event.getCoalescedEvents?.() ?? []) lineTo(at(step));
    lineTo(at(event));
  };
  const end = () => {
    if (!last) return;
    last = null;
    onChange();
  };
  const size = canvas.width / 10; // about the stroke of a pen in a square that a digit fills
  Object.assign(context, { strokeStyle: "#ffffff", lineWidth: size, lineCap: "round" });
  canvas.addEventListener("pointerdown", start);
  canvas.addEventListener("pointermove", move);
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, end);
  clear();
  return {
    clear,
    empty: () => empty,
    pixels: () => context.getImageData(0, 0, canvas.width, canvas.height),
  };
}
