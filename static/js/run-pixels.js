// A picture as the values that a model was trained on, by what its card declares.
//
// 1. The picture is shrunk to `size`: whole sides that are cut (`crop`, the usual), squeezed
//    (`stretch`), or with margins (`pad`). The browser does that, on white.
// 2. Channels: `rgb`, `bgr`, or one of grey (0.299 R + 0.587 G + 0.114 B).
// 3. Black to white, 0 to 255, becomes `range`; turned round with `invert`.
// 4. `mean` is taken off and the rest divided by `std`, a number for each channel.

const FITS = ["crop", "stretch", "pad"];
const GREY = [0.299, 0.587, 0.114];

/**
 * @typedef {object} Preparation
 * @property {{rows: number, columns: number}} grid
 * @property {1 | 3} channels
 * @property {boolean} channelsLast
 * @property {"crop" | "stretch" | "pad"} fit
 * @property {[number, number]} range
 * @property {boolean} invert
 * @property {boolean} bgr
 * @property {number[]} mean one per channel
 * @property {number[]} std one per channel
 */

/**
 * Return how a picture is prepared: what the card declares, else what is usual.
 *
 * @param {{grid: {rows: number, columns: number}, channels: number, channelsLast: boolean,
 *   range: [number, number]}} plan
 * @param {Record<string, unknown>} meant the card's `assay.input`
 * @returns {Preparation}
 */
export function preparationOf({ grid, channels, channelsLast, range }, meant = {}) {
  return {
    ...{ grid, channels: channels === 3 ? 3 : 1, channelsLast, range },
    fit: FITS.includes(meant.fit) ? meant.fit : "crop",
    // Ink is what a drawing has much of, and paper is white.
    invert: typeof meant.invert === "boolean" ? meant.invert : meant.kind === "drawing",
    bgr: meant.channels === "bgr",
    mean: perChannel(meant.mean, channels, 0),
    std: perChannel(meant.std, channels, 1).map((value) => value || 1),
  };
}

/**
 * Return the values of pixels, in the order of the tensor.
 *
 * @param {Preparation} how
 * @param {ArrayLike<number>} rgba 4 values of 0 to 255 for each of rows × columns pixels, opaque
 * @param {boolean} whole whether the datatype holds integers
 * @returns {number[]}
 */
export function valuesOf(how, rgba, whole) {
  const count = how.grid.rows * how.grid.columns;
  const planes = Array.from({ length: how.channels }, (_, channel) =>
    Array.from({ length: count }, (_unused, pixel) => valueAt(how, rgba, pixel * 4, channel)),
  );
  const values = how.channelsLast
    ? Array.from({ length: count * how.channels }, (_, at) => {
        return planes[at % how.channels][Math.floor(at / how.channels)];
      })
    : planes.flat();
  return whole ? values.map(Math.round) : values;
}

/**
 * Return where a picture of `width` × `height` goes on the grid, as for `drawImage`.
 *
 * @param {Preparation} how
 * @param {{width: number, height: number}} picture
 * @returns {{x: number, y: number, width: number, height: number}} may reach over the edges
 */
export function placeOf({ grid: { columns, rows }, fit }, { width, height }) {
  if (fit === "stretch") return { x: 0, y: 0, width: columns, height: rows };
  const scales = [columns / width, rows / height];
  const scale = fit === "pad" ? Math.min(...scales) : Math.max(...scales);
  const [wide, high] = [width * scale, height * scale];
  return { x: (columns - wide) / 2, y: (rows - high) / 2, width: wide, height: high };
}

/**
 * Return the preparation in words.
 *
 * @param {Preparation} how
 * @returns {string}
 */
export function preparationWords(how) {
  const { rows, columns } = how.grid;
  const fits = {
    crop: "cut to the middle and shrunk",
    stretch: "squeezed",
    pad: "shrunk, with white margins,",
  };
  const order = how.bgr ? "blue, green and red" : "red, green and blue";
  const [low, high] = how.invert ? how.range.toReversed() : how.range;
  return [
    `Your picture is ${fits[how.fit]} to ${columns} by ${rows} pixels`,
    how.channels === 1 ? "of grey" : `of ${order}`,
    `; black becomes ${low}, white ${high}`,
    movedWords(how),
    ". This happens here, in the browser.",
  ]
    .join(" ")
    .replaceAll(" ;", ";")
    .replaceAll(" ,", ",")
    .replaceAll("  ", " ")
    .replaceAll(" .", ".");
}

/**
 * Return what happens after the range, in words: "" where nothing does.
 *
 * @param {Preparation} how
 * @returns {string}
 */
export function movedWords({ mean, std }) {
  if (!mean.some(Boolean) && std.every((value) => value === 1)) return "";
  return `, less the mean (${mean.join(", ")}), over the deviation (${std.join(", ")})`;
}

function valueAt({ channels, bgr, range, invert, mean, std }, rgba, at, channel) {
  const own = bgr ? channels - 1 - channel : channel;
  const level =
    channels === 1 ? GREY.reduce((sum, part, of) => sum + part * rgba[at + of], 0) : rgba[at + own];
  const share = invert ? 1 - level / 255 : level / 255;
  return (range[0] + (range[1] - range[0]) * share - mean[channel]) / std[channel];
}

function perChannel(given, channels, usual) {
  const list = (Array.isArray(given) ? given : [given]).map(Number);
  const good = list.every(Number.isFinite) && (list.length === 1 || list.length === channels);
  const count = channels === 3 ? 3 : 1;
  return Array.from({ length: count }, (_, at) => (good ? (list[at] ?? list[0]) : usual));
}
