// The same input into a memory that learns and into a static vector store, side by side.

import { act, answered, counted, field, fill, h, meter, number, percent, section } from './dom.js';
import { call, config, get, memory, post } from './api.js';
import { highlighted, timeline } from './charts.js';

export async function interactive(place) {
  const name = `demo-${crypto.getRandomValues(new Uint32Array(2)).join('')}`;
  const rows = [];
  const text = h('textarea', { rows: 2, required: true, name: 'input' });
  const told = h('div');
  const left = h('div', { 'aria-live': 'polite' }, h('p', { class: 'muted' }, 'It has learned nothing yet.'));
  const right = h('div', { 'aria-live': 'polite' }, h('p', { class: 'muted' }, 'It has no rows yet.'));
  const chart = h('div');
  let isMade = false;
  const made = async () => {
    if (!isMade) await post('/v1/memories', { name, class: 'session', ttl_s: 3600 });
    isMade = true;
  };
  const vector = async () => (await post('/v1/encode', { texts: [text.value] })).vectors[0];
  const button = (label, work, kind = '') => {
    const control = h('button', { type: 'button', class: kind }, label);
    control.addEventListener('click', act(control, told, async () => {
      if (!text.reportValidity()) return;
      fill(told);
      await made();
      await work();
    }));
    return control;
  };
  const observe = async () => {
    const [own, outcome] = await Promise.all([vector(), post(memory(name, '/observe'), { text: text.value })]);
    rows.push({ text: text.value, own });
    const [stats, activity] = await Promise.all([get(memory(name)), get(memory(name, '/activity?limit=50'))]);
    fill(left, meter('surprise', outcome.outcomes[0].surprise, outcome.outcomes[0].surprise.toFixed(3)),
      h('p', {}, `${counted(stats.observation_count, 'observation')} became ${counted(stats.pattern_count, 'pattern')}; ${number(stats.parameter_count)} parameters, as ever. Weights `, h('code', {}, stats.weight_hash.slice(0, 12)), '.'));
    fill(right, h('p', {}, `Stored row ${number(rows.length)}: ${number(rows.length * own.length)} numbers. It did not notice whether it had this already.`));
    fill(chart, timeline(activity.events));
  };
  const surprise = async () => {
    const [own, answer] = await Promise.all([vector(), post(memory(name, '/surprise'), { text: text.value })]);
    const [result] = answer.results;
    fill(left, meter('surprise', result.score, result.score.toFixed(3)), highlighted(text.value, result.surprising_words), h('p', { class: 'small muted' }, `${result.recommendation}: ${result.reason}`));
    const best = nearest(rows, own)[0];
    fill(right, h('p', {}, best ? `It has no such thing. The distance to the nearest row is ${(1 - best.score).toFixed(3)}; what that means is for you to decide.` : 'It has no such thing, and no rows.'));
  };
  const infer = async () => {
    const [own, answer] = await Promise.all([vector(), post(memory(name, '/infer'), { prompt: text.value, pattern_limit: 3 })]);
    fill(left, answered(answer), meter('confidence', answer.confidence, answer.confidence.toFixed(2)),
      h('ul', { class: 'small' }, answer.patterns.map((match) => h('li', {}, `${percent(match.weight)} ${match.exemplars[0].text}`))));
    const found = nearest(rows, own).slice(0, 3);
    fill(right, found.length ? h('ol', {}, found.map((row) => h('li', {}, h('span', { class: 'number' }, row.score.toFixed(2)), ' ', row.text))) : h('p', {}, 'No rows.'),
      h('p', { class: 'small muted' }, 'Always the nearest rows, however far away.'));
  };
  fill(place, h('h1', {}, 'Interactive'),
    h('p', { class: 'muted' }, 'The same encoder, the same input. A memory that learns beside a plain vector store: rows and cosine.'),
    config.api_key && h('p', { class: 'muted' }, 'Until you leave, everybody who visits this page can see what you observe here.'),
    h('div', { class: 'card' }, field('Text or question', text, 'Observe something twice, then the same in other words; then ask.'),
      h('div', { class: 'row' }, button('Observe', observe), button('Surprise', surprise, 'quiet'), button('Infer', infer, 'quiet')), told),
    h('div', { class: 'columns' }, section('Neural memory', left, chart), section('Static vector store', right)));
  return () => isMade && call('DELETE', memory(name)).catch(() => null);
}

function nearest(rows, own) {
  const score = (row) => row.own.reduce((sum, value, place) => sum + value * own[place], 0);
  return rows.map((row) => ({ text: row.text, score: score(row) })).sort((one, other) => other.score - one.score);
}
