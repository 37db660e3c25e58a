// Four proofs on a memory of the visitor's own, each with what was measured just now.

import { act, counted, fill, h, number, section } from './dom.js';
import { call, get, memory, post } from './api.js';
import { timeline } from './charts.js';

const FACT = 'The lighthouse of Cape Varna flashes twice every eleven seconds.';
const QUESTION = 'How often does the lighthouse flash?';
const COUNT = 1000, BATCH = 100;
const THINGS = ['kettle', 'anchor', 'violin', 'glacier', 'compass', 'orchard', 'lantern', 'saddle', 'harbour', 'quilt'];
const DEEDS = ['was painted', 'stands', 'was sold', 'is kept', 'broke', 'was found', 'is repaired', 'rests', 'was drawn', 'is weighed'];
const PLACES = ['in Oslo', 'near the mill', 'at dawn', 'under the stairs', 'by the river', 'on a Tuesday', 'behind the barn', 'for a penny', 'after the flood', 'with great care'];

export async function live(place) {
  const start = h('button', { type: 'button' }, 'Run the four proofs');
  const told = h('div', { 'aria-live': 'polite' });
  const proofs = h('div', { class: 'columns' });
  start.addEventListener('click', act(start, told, async () => {
    const name = `demo-${crypto.getRandomValues(new Uint32Array(2)).join('')}`;
    fill(proofs);
    const step = async (title, words, work) => {
      const result = h('div', {}, h('p', { class: 'muted' }, 'Working ...'));
      proofs.append(section(title, h('p', { class: 'small' }, words), result));
      fill(result, await work((text) => fill(result, h('p', { class: 'muted' }, text))));
    };
    fill(told, h('p', { class: 'muted' }, `On a new memory, ${name}. It is deleted at the end.`));
    await post('/v1/memories', { name, class: 'session', ttl_s: 3600, placement: { isolation: 'dedicated' } });
    try {
      await step('1. Learning changes the weights', 'One sentence is observed. A hash of all weights tells whether anything changed.', () => weights(name));
      await step('2. What is known surprises less', 'The same sentence again, and again.', () => surprise(name));
      await step('3. It does not grow', `${number(COUNT)} more observations. The number of parameters was fixed when it was made.`, (tell) => bounded(name, tell));
      await step('4. It survives', 'The process that holds it is killed without warning. The next question reaches a new one.', () => restart(name));
      fill(told, h('p', { class: 'proof' }, 'Done. All of it was measured just now, on this service.'));
    } finally {
      await call('DELETE', memory(name)).catch(() => null);
    }
  }));
  fill(place, h('h1', {}, 'Live demo'), h('p', { class: 'muted' }, 'A vector store keeps rows and looks them up. This memory is a small network that learns: four things to see for yourself.'), start, told, proofs);
}

const verdict = (holds, words) => h('p', { class: holds ? 'proof' : 'error' }, holds ? 'Holds: ' : 'Does not hold: ', words);

async function weights(name) {
  const before = await get(memory(name));
  await post(memory(name, '/observe'), { text: FACT });
  const after = await get(memory(name));
  return [h('p', { class: 'quote' }, FACT),
    h('p', {}, 'before ', h('code', {}, before.weight_hash), ' after ', h('code', {}, after.weight_hash)),
    verdict(before.weight_hash !== after.weight_hash, 'the weights are others now.')];
}

async function surprise(name) {
  for (let time = 0; time < 2; time += 1) await post(memory(name, '/observe'), { text: FACT });
  const { events } = await get(memory(name, '/activity?limit=3'));
  const [first, , third] = events.map((event) => event.surprise);
  return [timeline(events), verdict(third < first / 2, `${first.toFixed(3)} at first, ${third.toFixed(3)} the third time.`)];
}

async function bounded(name, tell) {
  const before = await get(memory(name));
  for (let first = 0; first < COUNT; first += BATCH) {
    const observations = Array.from({ length: BATCH }, (_, place) => {
      const number_ = first + place;
      const parts = [THINGS[number_ % 10], DEEDS[Math.floor(number_ / 10) % 10], PLACES[Math.floor(number_ / 100)]];
      return { text: `The ${parts[0]} ${parts[1]} ${parts[2]}.` };
    });
    await post(memory(name, '/observe'), { observations });
    tell(`${number(first + BATCH)} of ${number(COUNT)} observed ...`);
  }
  const after = await get(memory(name));
  return [h('p', {}, `${number(before.parameter_count)} parameters before, ${number(after.parameter_count)} after ${number(after.observation_count)} observations.`),
    verdict(before.parameter_count === after.parameter_count, 'not one more.')];
}

async function restart(name) {
  const before = await post(memory(name, '/infer'), { prompt: QUESTION });
  const [was, stats] = await Promise.all([get(memory(name, '/owner')), get(memory(name))]);
  await post(memory(name, '/restart'));
  const after = await post(memory(name, '/infer'), { prompt: QUESTION });
  const [is, now] = await Promise.all([get(memory(name, '/owner')), get(memory(name))]);
  const same = stats.weight_hash === now.weight_hash && before.response === after.response;
  return [h('p', {}, `Process ${was.pid} is gone, process ${is.pid} answers:`), h('p', { class: 'quote' }, after.response || '(nothing)'),
    verdict(same && was.pid !== is.pid, `${counted(now.observation_count, 'observation')} and the same weights, bit by bit.`)];
}
