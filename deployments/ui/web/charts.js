// Charts as SVG. Each says in words what it shows; points can be walked with the arrow keys.

import { counted, fill, h, percent, s } from './dom.js';

const W = 640, H = 220, LEFT = 40, RIGHT = 12, TOP = 12, BOTTOM = 30;

const across = (share) => LEFT + share * (W - LEFT - RIGHT);
const up = (share) => H - BOTTOM - share * (H - TOP - BOTTOM);

/** A figure whose points are chosen by pointer or arrow keys; ``describe`` tells about the chosen one. */
function walkable(label, marks, describe, extra = []) {
  const chosen = h('p', { class: 'chosen', 'aria-live': 'polite' }, marks.length ? 'Point at the chart, or use the arrow keys.' : '');
  const chart = s('svg', { viewBox: `0 0 ${W} ${H}`, role: 'img', 'aria-label': label, tabindex: marks.length ? 0 : null, class: 'chart' },
    extra, marks.map((mark) => mark.element));
  let at = -1;
  const choose = (place) => {
    if (!marks.length) return;
    if (marks[at]) marks[at].element.classList.remove('at');
    at = Math.max(0, Math.min(marks.length - 1, place));
    marks[at].element.classList.add('at');
    fill(chosen, describe(marks[at].item));
  };
  chart.addEventListener('keydown', (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    choose(at < 0 ? (step > 0 ? 0 : marks.length - 1) : at + step);
  });
  chart.addEventListener('pointermove', (event) => {
    const box = chart.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * W, y = ((event.clientY - box.top) / box.height) * H;
    let best = -1, nearest = 30 ** 2;
    marks.forEach((mark, place) => {
      const distance = (mark.x - x) ** 2 + (mark.y - y) ** 2;
      if (distance < nearest) [best, nearest] = [place, distance];
    });
    if (best >= 0 && best !== at) choose(best);
  });
  return h('figure', { class: 'figure' }, chart, chosen);
}

function grid(levels) {
  return levels.map((level) => [
    s('line', { x1: LEFT, x2: W - RIGHT, y1: up(level), y2: up(level), class: 'grid' }),
    s('text', { x: LEFT - 6, y: up(level) + 4, class: 'tick end' }, level.toFixed(1)),
  ]);
}

const path = (places) => places.map(([x, y], place) => `${place ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`).join('');

/** Surprise of each observation, oldest first. */
export function timeline(events) {
  const places = events.map((event, place) => [across(events.length > 1 ? place / (events.length - 1) : 0.5), up(event.surprise)]);
  const marks = events.map((event, place) => ({
    item: event, x: places[place][0], y: places[place][1],
    element: s('circle', { cx: places[place][0], cy: places[place][1], r: events.length > 80 ? 2.5 : 4, class: event.learned ? 'dot' : 'dot faint' }),
  }));
  const first = events[0], last = events[events.length - 1];
  const label = last
    ? `Surprise of ${counted(events.length, 'observation')}, from ${first.surprise.toFixed(2)} at position ${first.seq} to ${last.surprise.toFixed(2)} at position ${last.seq}`
    : 'Surprise: nothing was observed yet';
  const axis = last ? [
    s('text', { x: LEFT, y: H - 8, class: 'tick' }, `position ${first.seq}`),
    s('text', { x: W - RIGHT, y: H - 8, class: 'tick end' }, `position ${last.seq}`),
  ] : [s('text', { x: W / 2, y: H / 2, class: 'tick middle' }, 'Nothing observed yet')];
  return walkable(label, marks,
    (event) => [h('b', {}, `#${event.seq} surprise ${event.surprise.toFixed(3)} `), event.text || '(text not kept)'],
    [grid([0, 0.5, 1]), axis, s('path', { d: path(places), class: 'line' })]);
}

/** How far the weights moved, as a small line. */
export function sparkline(values, label) {
  const top = Math.max(...values, 1e-9), width = 160, height = 32;
  const places = values.map((value, place) => [
    2 + (values.length > 1 ? place / (values.length - 1) : 0.5) * (width - 4), height - 2 - (value / top) * (height - 4)]);
  return s('svg', { viewBox: `0 0 ${width} ${height}`, class: 'spark', role: 'img', 'aria-label': label },
    s('path', { d: path(places), class: 'line' }),
    places.length ? s('circle', { cx: places.at(-1)[0], cy: places.at(-1)[1], r: 2.5, class: 'dot' }) : null);
}

/** Patterns in two dimensions. */
export function patternMap(map, isSmall = false) {
  const points = map.points;
  const range = (values) => [Math.min(...values), Math.max(...values)];
  const [left, right] = points.length ? range(points.map((point) => point.x)) : [0, 1];
  const [low, high] = points.length ? range(points.map((point) => point.y)) : [0, 1];
  const scale = (value, from, to) => (to > from ? 0.03 + 0.94 * (value - from) / (to - from) : 0.5);
  const strongest = Math.max(...points.map((point) => point.strength), 1e-9);
  const domains = [...new Set(points.map((point) => point.exemplars[0]?.domain || ''))].sort();
  const marks = points.map((point) => {
    const x = across(scale(point.x, left, right)), y = up(scale(point.y, low, high));
    const color = Math.max(0, domains.indexOf(point.exemplars[0]?.domain || '')) % 6;
    return { item: point, x, y, element: s('circle', { cx: x, cy: y, r: 3 + 6 * Math.sqrt(point.strength / strongest), class: `dot color${color}` }) };
  });
  const label = `${points.length} of ${map.pattern_count} patterns by likeness; the two axes show ${percent(map.variance_shown)} of their spread`;
  const figure = walkable(label, marks,
    (point) => [h('b', {}, `pattern ${point.pattern}, used ${point.activation_count} times: `), point.exemplars.map((one) => one.text).join(' | ')],
    points.length ? [] : [s('text', { x: W / 2, y: H / 2, class: 'tick middle' }, 'No patterns yet')]);
  const named = domains.filter(Boolean);
  if (named.length && !isSmall) {
    figure.append(h('p', { class: 'legend' }, domains.slice(0, 6).map((domain, place) =>
      h('span', {}, h('span', { class: `swatch color${place}` }), domain || 'no domain'))));
  }
  return figure;
}

/** Recall by age, with its 95% interval. */
export function retention(points) {
  const at = (place) => across(points.length > 1 ? place / (points.length - 1) : 0.5);
  const upper = points.map((point, place) => [at(place), up(point.recall.high)]);
  const lower = points.map((point, place) => [at(place), up(point.recall.low)]).reverse();
  const marks = points.map((point, place) => ({
    item: point, x: at(place), y: up(point.recall.value),
    element: s('circle', { cx: at(place), cy: up(point.recall.value), r: 4, class: 'dot' }),
  }));
  const label = points.length
    ? `Share that still reads back by age: oldest ${percent(points[0].recall.value)}, newest ${percent(points.at(-1).recall.value)}`
    : 'Retention: nothing learned yet';
  return walkable(label, marks,
    (point) => [h('b', {}, `positions ${point.seq_from} to ${point.seq_to}: ${percent(point.recall.value)} `),
      `reads back (${percent(point.recall.low)} to ${percent(point.recall.high)}, ${point.recall.sample} measured)`],
    [grid([0, 0.5, 1]),
      s('text', { x: LEFT, y: H - 8, class: 'tick' }, 'oldest'), s('text', { x: W - RIGHT, y: H - 8, class: 'tick end' }, 'newest'),
      points.length > 1 ? s('path', { d: `${path([...upper, ...lower])}Z`, class: 'band' }) : null,
      s('path', { d: path(points.map((point, place) => [at(place), up(point.recall.value)])), class: 'line' })]);
}

/** A text whose surprising words stand out: the more, the stronger. */
export function highlighted(text, words) {
  const strongest = Math.max(...words.map((word) => word.share), 1e-9);
  const parts = [];
  let at = 0;
  // Offsets count characters as Python does, so that emoji are one.
  const letters = [...text];
  for (const word of [...words].sort((one, other) => one.start - other.start)) {
    parts.push(letters.slice(at, word.start).join(''));
    const strength = Math.max(1, Math.ceil((4 * word.share) / strongest));
    parts.push(h('mark', { class: `surprising s${strength}`, title: `${percent(word.share)} of the surprise` }, letters.slice(word.start, word.end).join('')));
    at = word.end;
  }
  parts.push(letters.slice(at).join(''));
  return h('p', { class: 'highlighted' }, parts);
}

/** Which words of a query lead to which patterns. */
export function attention(map) {
  if (!map.rows.length) return h('p', { class: 'muted' }, 'No pattern is attended to.');
  const strongest = Math.max(...map.rows.flatMap((row) => row.word_weights), 1e-9);
  return h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Attention of the query' },
    h('table', { class: 'attention' },
      h('caption', {}, 'Darker: the word leads to the pattern more strongly'),
      h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, 'Pattern'), map.tokens.map((token) => h('th', { scope: 'col' }, token.word)))),
      h('tbody', {}, map.rows.map((row) => h('tr', {},
        h('th', { scope: 'row' }, h('span', { class: 'clamp', title: row.exemplar.text }, h('span', { class: 'number' }, percent(row.weight)), ' ', row.exemplar.text)),
        row.word_weights.map((weight) => h('td', { class: `heat h${Math.round((5 * weight) / strongest)}` }, weight.toFixed(1))))))));
}
