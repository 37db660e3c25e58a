// All memories: health, where they live, how full they are and how fast they learn.

import { act, ask, counted, fill, h, meter, percent, showError, when } from './dom.js';
import { get, memory, post } from './api.js';
import { sparkline } from './charts.js';

const REFRESH_MS = 5000;

export async function memories(place) {
  const list = h('ul', { class: 'tiles' });
  const note = h('div');
  const create = h('button', { type: 'button' }, 'New memory');
  create.addEventListener('click', act(create, note, async () => {
    const given = await ask({
      title: 'New memory', confirm: 'Create',
      inputs: [{ name: 'name', label: 'Name', hint: "Letters, digits, '.', '_' or '-'." }],
    });
    if (given === null) return;
    await post('/v1/memories', { name: given.name });
    location.hash = `#/memory/${encodeURIComponent(given.name)}`;
  }));
  fill(place, h('div', { class: 'row' }, h('h1', {}, 'Memories'), create), note, list);
  let more = null;
  const tiles = new Map();
  const refresh = async () => {
    const page = await get('/v1/memories?limit=100');
    more = page.next_cursor;
    for (const info of page.memories) {
      if (!tiles.has(info.name)) tiles.set(info.name, tile(info));
    }
    const shown = page.memories.map((info) => tiles.get(info.name).element);
    fill(list, shown);
    fill(note, !page.memories.length && h('p', { class: 'card' }, 'There is no memory yet. Make one, or try the ', h('a', { href: '#/live' }, 'live demo'), '.'),
      more && h('p', { class: 'muted' }, 'The first 100 are shown.'));
    await Promise.all(page.memories.map((info) => tiles.get(info.name).refresh()));
  };
  await refresh();
  const timer = setInterval(() => document.hidden || refresh().catch((error) => showError(note, error)), REFRESH_MS);
  return () => clearInterval(timer);
}

function tile(info) {
  const body = h('div');
  const element = h('li', { class: 'card' },
    h('h2', {}, h('a', { href: `#/memory/${encodeURIComponent(info.name)}` }, info.name)),
    h('p', { class: 'muted small' }, `${info.variant}, ${info.encoder}, since ${when(info.created_at)}`, info.parent && `, from ${info.parent}`),
    body);
  let isAwake = false;
  const refresh = async () => {
    const placed = await get(memory(info.name, '/placement')).catch((error) => (error.code === 'NO_CLUSTER' ? null : { status: error.message }));
    const status = placed === null ? 'resident' : placed.status;
    isAwake = isAwake || status === 'resident';
    const health = h('p', {}, h('span', { class: `health ${status === 'resident' ? 'good' : status === 'passive' ? 'idle' : 'bad'}` }), ' ',
      status === 'passive' ? 'asleep' : status === 'resident' ? 'awake' : status,
      placed?.host && h('span', { class: 'muted small' }, ` on ${placed.host}${placed.pid ? `, process ${placed.pid}` : ''}`));
    if (status !== 'resident') {
      // Looking closer would wake it up.
      fill(body, health, h('p', { class: 'muted small' }, 'Open it to bring it back into RAM.'));
      return;
    }
    const [stats, activity] = await Promise.all([get(memory(info.name)), get(memory(info.name, '/activity?limit=40'))]);
    fill(body, health,
      meter('capacity', stats.capacity_used, percent(stats.capacity_used)),
      h('p', { class: 'small' }, `${counted(stats.observation_count, 'observation')}, ${counted(stats.pattern_count, 'pattern')}, `,
        `${activity.observations_per_minute.toFixed(0)} a minute`),
      activity.events.length > 1 && sparkline(activity.events.map((event) => event.surprise), 'Surprise of the last observations'));
  };
  return { element, refresh: () => refresh().catch((error) => showError(body, error)) };
}
