// Boxes in layers, from top to bottom (Sugiyama's method): which layer, in which order, and where.
//
// 1. A box stands one layer below the lowest of those that it reads from; what only gives (inputs,
//    constants) stands just above its first reader.
// 2. A line over several layers passes through a small place in each, so that it goes around boxes.
// 3. Each layer is ordered by the middle of its neighbours, downward and upward in turn.
// 4. Each box is moved towards its neighbours, as far as its own layer leaves room: least squares
//    with a least distance, by pooling adjacent violators.

const ROUNDS = 8;
const MOST_PLACES = 12_000; // beyond that, lines go straight

export const LAYER = 92; // from the top of a layer to the top of the next
export const HEIGHT = 46;
const GAP = 24;
const THIN = 14; // what a passing line takes

/**
 * @typedef {{x: number, y: number, width: number}} Spot of a box: its middle, and its top
 * @typedef {{x: number, y: number}} Point
 */

/**
 * @param {number[]} widths of the boxes
 * @param {{from: number, to: number}[]} lines
 * @returns {{spots: Spot[], layers: number[][], paths: Point[][], width: number, height: number}}
 *   `layers` are the boxes from left to right, `paths` the points of each line
 */
export function layOut(widths, lines) {
  const layerOf = layersOf(widths.length, lines);
  const grid = placesOf(widths, lines, layerOf);
  order(grid);
  const x = settle(grid);
  const left = Math.min(...grid.places.map(({ width }, at) => x[at] - width / 2), 0);
  const spots = widths.map((width, at) => ({ x: x[at] - left, y: layerOf[at] * LAYER, width }));
  const paths = lines.map(({ from, to }, at) => [
    { x: spots[from].x, y: spots[from].y + HEIGHT },
    ...grid.passing[at].map((place) => middleOf(x[place] - left, grid.places[place].layer)),
    { x: spots[to].x, y: spots[to].y },
  ]);
  const right = Math.max(...grid.places.map(({ width }, at) => x[at] - left + width / 2), 0);
  const boxes = grid.layers.map((layer) => layer.filter((place) => place < widths.length));
  const height = Math.max(grid.layers.length - 1, 0) * LAYER + HEIGHT;
  return { spots, layers: boxes, paths, width: right, height };
}

function middleOf(x, layer) {
  return { x, y: layer * LAYER + HEIGHT / 2 };
}

/** Step 1. A line that would lead upward (no graph that passed has one) does not count. */
function layersOf(count, lines) {
  const waiting = new Array(count).fill(0);
  const below = Array.from({ length: count }, () => []);
  for (const { from, to } of lines) {
    waiting[to] += 1;
    below[from].push(to);
  }
  const layer = new Array(count).fill(0);
  const source = waiting.map((number) => number === 0);
  const ready = waiting.flatMap((number, at) => (number === 0 ? [at] : []));
  for (let next = 0; next < ready.length; next += 1) {
    for (const to of below[ready[next]]) {
      layer[to] = Math.max(layer[to], layer[ready[next]] + 1);
      waiting[to] -= 1;
      if (waiting[to] === 0) ready.push(to);
    }
  }
  return layer.map((own, at) => {
    if (!source[at] || below[at].length === 0) return own;
    return Math.max(0, Math.min(...below[at].map((to) => layer[to])) - 1);
  });
}

/** Step 2. */
function placesOf(widths, lines, layerOf) {
  const places = widths.map((width, at) => ({ width: width + GAP, layer: layerOf[at] }));
  const [up, down] = [places.map(() => []), places.map(() => [])];
  const join = (from, to) => {
    down[from].push(to);
    up[to].push(from);
  };
  const passing = lines.map(({ from, to }) => {
    const through = [];
    let last = from;
    for (let layer = layerOf[from] + 1; layer < layerOf[to]; layer += 1) {
      if (places.length - widths.length >= MOST_PLACES) break;
      through.push(places.push({ width: THIN, layer }) - 1);
      up.push([]);
      down.push([]);
      join(last, through.at(-1));
      last = through.at(-1);
    }
    if (layerOf[to] > layerOf[from]) join(last, to);
    return through;
  });
  const highest = places.reduce((most, { layer }) => Math.max(most, layer), -1);
  const layers = Array.from({ length: highest + 1 }, () => []);
  places.forEach(({ layer }, at) => layers[layer].push(at));
  return { places, up, down, layers, passing };
}

/** Step 3. */
function order({ layers, up, down, places }) {
  const rank = new Array(places.length).fill(0);
  const note = (layer) => layer.forEach((place, at) => (rank[place] = at));
  layers.forEach(note);
  for (let round = 0; round < ROUNDS; round += 1) {
    const downward = round % 2 === 0;
    for (const layer of downward ? layers : layers.toReversed()) {
      const near = downward ? up : down;
      const wish = new Map(layer.map((place) => [place, mean(near[place], rank, rank[place])]));
      layer.sort((left, right) => wish.get(left) - wish.get(right) || rank[left] - rank[right]);
      note(layer);
    }
  }
}

/** Step 4. */
function settle({ layers, up, down, places }) {
  const x = new Array(places.length).fill(0);
  for (const layer of layers) {
    let edge = 0;
    for (const place of layer) {
      x[place] = edge + places[place].width / 2;
      edge += places[place].width;
    }
  }
  for (let round = 0; round <= ROUNDS; round += 1) {
    const downward = round % 2 === 0;
    for (const layer of downward ? layers : layers.toReversed()) {
      const near = downward ? up : down;
      const both = round === ROUNDS;
      const wishes = layer.map((place) =>
        mean(both ? [...up[place], ...down[place]] : near[place], x, x[place]),
      );
      spread(layer, wishes, places).forEach((at, index) => (x[layer[index]] = at));
    }
  }
  return x;
}

/** Return the positions nearest to `wishes` at which no two places of a layer touch. */
function spread(layer, wishes, places) {
  // Shifted so that the least distance becomes "not to the left of the one before".
  let shift = 0;
  const shifts = layer.map((place, at) => {
    if (at > 0) shift += (places[layer[at - 1]].width + places[place].width) / 2;
    return shift;
  });
  const pools = [];
  wishes.forEach((wish, at) => {
    pools.push({ sum: wish - shifts[at], count: 1 });
    while (pools.length > 1 && level(pools.at(-2)) > level(pools.at(-1))) {
      const last = pools.pop();
      pools.at(-1).sum += last.sum;
      pools.at(-1).count += last.count;
    }
  });
  const levels = pools.flatMap((pool) => new Array(pool.count).fill(level(pool)));
  return levels.map((value, at) => value + shifts[at]);
}

function level({ sum, count }) {
  return sum / count;
}

function mean(places, values, otherwise) {
  if (places.length === 0) return otherwise;
  return places.reduce((sum, place) => sum + values[place], 0) / places.length;
}
