// One memory: teach it, ask it, and see what it made of it.

import { act, answered, ask, clock, counted, field, fill, h, meter, number, percent, say, section, showError, when } from './dom.js';
import { get, memory, post } from './api.js';
import { attention, highlighted, patternMap, retention, sparkline, timeline } from './charts.js';

const REFRESH_MS = 3000;

export async function oneMemory(place, name) {
  const parts = {
    facts: h('div'), timeline: h('div'), spark: h('div'), map: h('div'), capacity: h('div'),
    patterns: h('div'), journal: h('div'), versions: h('div'),
  };
  let seen = '';
  const refresh = async (isForced = false) => {
    const stats = await get(memory(name));
    fill(parts.facts, facts(stats));
    const now = `${stats.weight_hash} ${stats.seq} ${stats.checkpoint_tags.join()}`;
    if (now === seen && !isForced) return;
    seen = now;
    await Promise.all([drawActivity(name, parts), drawPatterns(name, parts), drawCapacity(name, parts), drawVersions(name, parts, refresh)]);
  };
  fill(place,
    h('p', {}, h('a', { href: '#/memories' }, 'All memories')),
    h('h1', {}, name), parts.facts,
    h('div', { class: 'columns' },
      observeForm(name, refresh), askForm(name),
      section('Surprise', h('p', { class: 'muted small' }, 'How new each observation was when it came: 1 never seen, 0 known.'), parts.timeline, parts.spark),
      section('Patterns', h('p', { class: 'muted small' }, 'What is alike lies together; larger is stronger.'), parts.map),
      section('Capacity and retention', parts.capacity),
      section('Checkpoints', parts.versions),
      section('Strongest patterns', parts.patterns),
      section('Journal', h('p', { class: 'muted small' }, 'What came last, newest first.'), parts.journal)));
  await refresh();
  const timer = setInterval(() => document.hidden || refresh().catch((error) => showError(parts.facts, error)), REFRESH_MS);
  return () => clearInterval(timer);
}

function facts(stats) {
  const fact = (label, value, title) => h('div', { title }, h('dt', {}, label), h('dd', {}, value));
  return h('dl', { class: 'facts' },
    fact('observations', number(stats.observation_count)), fact('patterns', `${number(stats.pattern_count)} of ${number(stats.units)} units`),
    fact('weights', h('code', { id: 'weight-hash' }, stats.weight_hash.slice(0, 12))), fact('parameters', number(stats.parameter_count), 'Fixed when it was made'),
    fact('capacity', percent(stats.capacity_used)), fact('recent surprise', stats.surprise_recent_mean.toFixed(2)),
    stats.learning_rate === 0 && fact('mode', 'read-only'), stats.parent && fact('made from', stats.parent));
}

function observeForm(name, refresh) {
  const text = h('textarea', { rows: 3, required: true, name: 'text' });
  const domain = h('input', { name: 'domain', autocomplete: 'off' });
  const told = h('div', { 'aria-live': 'polite' });
  const form = h('form', {}, field('Text to learn', text), field('Domain (optional)', domain),
    h('div', { class: 'row' }, h('button', { type: 'submit' }, 'Observe'), measureButton(name, text, told)), told);
  form.addEventListener('submit', act(form, told, async () => {
    const body = { text: text.value };
    fill(told, h('p', { class: 'muted' }, 'Learning ...'));
    if (domain.value.trim()) body.domain = domain.value.trim();
    const [before] = (await post(memory(name, '/surprise'), { text: text.value })).results;
    const outcome = (await post(memory(name, '/observe'), body)).outcomes[0];
    fill(told, meter('surprise', outcome.surprise, outcome.surprise.toFixed(3)), highlighted(text.value, before.surprising_words),
      h('p', { class: 'small muted' }, `The weights moved by ${outcome.weight_delta.toFixed(3)}; pattern ${outcome.patterns_activated.join(', ')}. Observe it again and see the surprise fall.`));
    say(`Observed, surprise ${outcome.surprise.toFixed(3)}`);
    await refresh();
  }));
  return section('Observe', form);
}

function measureButton(name, text, told) {
  const button = h('button', { type: 'button', class: 'quiet' }, 'Only measure surprise');
  button.addEventListener('click', act(button, told, async () => {
    if (!text.reportValidity()) return;
    fill(told);
    const [result] = (await post(memory(name, '/surprise'), { text: text.value })).results;
    fill(told, meter('surprise', result.score, result.score.toFixed(3)), highlighted(text.value, result.surprising_words),
      h('p', { class: 'small muted' }, `${result.recommendation}: ${result.reason} Nothing was learned.`));
  }));
  return button;
}

function askForm(name) {
  const question = h('input', { required: true, name: 'question', autocomplete: 'off' });
  const told = h('div', { 'aria-live': 'polite' });
  const form = h('form', {}, field('Question', question), h('button', { type: 'submit' }, 'Ask'), told);
  form.addEventListener('submit', act(form, told, async () => {
    fill(told);
    const [answer, map] = await Promise.all([
      post(memory(name, '/infer'), { prompt: question.value }),
      post(memory(name, '/attention'), { query: question.value, top_k: 5 })]);
    fill(told, answered(answer),
      meter('confidence', answer.confidence, answer.confidence.toFixed(2)),
      h('h3', {}, 'Attention'), attention(map));
  }));
  return section('Ask', form);
}

async function drawActivity(name, parts) {
  const activity = await get(memory(name, '/activity?limit=200'));
  const deltas = activity.events.map((event) => event.weight_delta);
  fill(parts.timeline, timeline(activity.events));
  fill(parts.spark, h('div', { class: 'row small' }, h('span', {}, 'weight change'),
    sparkline(deltas, `Weight change of ${deltas.length} observations, last ${(deltas.at(-1) ?? 0).toFixed(3)}`),
    h('span', { class: 'muted' }, `${counted(Math.round(activity.observations_per_minute), 'observation')} a minute`)));
  const rows = [...activity.events].reverse().slice(0, 30);
  fill(parts.journal, rows.length ? h('div', { class: 'scroll tall', tabindex: 0, role: 'region', 'aria-label': 'Journal' }, h('table', {},
    h('thead', {}, h('tr', {}, ['Position', 'Surprise', 'Text', 'When'].map((title) => h('th', { scope: 'col' }, title)))),
    h('tbody', {}, rows.map((event) => h('tr', {},
      h('td', { class: 'number' }, event.seq), h('td', { class: 'number' }, event.surprise.toFixed(3)),
      h('td', {}, event.text === null ? h('span', { class: 'muted' }, '(not kept)') : event.text), h('td', { class: 'small', title: when(event.observed_at) }, clock(event.observed_at))))))) : h('p', { class: 'muted' }, 'Nothing was observed yet.'));
}

async function drawPatterns(name, parts) {
  const [map, explained] = await Promise.all([get(memory(name, '/pattern-map?limit=300')), get(memory(name, '/explain?top_k=8'))]);
  fill(parts.map, patternMap(map), h('p', { class: 'muted small' }, `${number(map.points.length)} of ${number(map.pattern_count)} patterns; the axes show ${percent(map.variance_shown)} of their spread.`));
  const strongest = explained.patterns[0]?.strength || 1;
  fill(parts.patterns, explained.patterns.length ? h('ol', { class: 'patterns' }, explained.patterns.map((pattern) => h('li', {},
    meter(pattern.description || `pattern ${pattern.pattern}`, pattern.strength / strongest, `${pattern.activation_count}x`), h('p', { class: 'small clamp', title: pattern.exemplar.text }, pattern.exemplar.text))))
    : h('p', { class: 'muted' }, 'No patterns yet.'));
}

async function drawCapacity(name, parts) {
  const { capacity } = await get(memory(name, '?detailed=true'));
  fill(parts.capacity,
    meter('used', capacity.capacity_used, percent(capacity.capacity_used)),
    meter('units', capacity.units_used, percent(capacity.units_used)),
    meter('reads back', capacity.replay_recall.value, percent(capacity.replay_recall.value)),
    h('p', { class: 'small muted' }, `${number(capacity.pairs)} keys of about ${number(capacity.pairs_capacity)}. Below: the share that still reads back, by age.`),
    retention(capacity.retention_curve || []));
}

async function drawVersions(name, parts, refresh) {
  const page = await get(memory(name, '/checkpoints?limit=20'));
  const told = h('div', { 'aria-live': 'polite' });
  const button = (label, tag, work, kind = 'quiet') => {
    const made = h('button', { type: 'button', class: kind, 'aria-label': `${label} ${tag}` }, label);
    made.addEventListener('click', act(made, told, () => work(tag)));
    return made;
  };
  const restore = async (tag) => {
    const stats = await get(memory(name));
    const version = page.checkpoints.find((one) => one.tag === tag);
    const lost = Math.max(0, stats.observation_count - version.observation_count);
    if (!await ask({ title: `Restore ${tag}?`, text: `What was learned after it (${counted(lost, 'observation')}) is given up. A new checkpoint first would keep it.`, confirm: 'Restore', danger: true })) return;
    const result = await post(memory(name, '/restore'), { tag });
    say(`Restored ${tag}; ${counted(result.observations_lost, 'observation')} given up.`);
    await refresh(true);
  };
  const fork = async (tag) => {
    const given = await ask({ title: `Fork ${tag}`, text: 'A new memory that starts from it and goes its own way.', confirm: 'Fork', inputs: [{ name: 'name', label: 'Name of the new memory', value: `${name}-fork` }] });
    if (!given) return;
    await post(memory(name, '/fork'), { tag, name: given.name });
    location.hash = `#/memory/${encodeURIComponent(given.name)}`;
  };
  const diff = async (tag) => {
    const found = await get(memory(name, `/diff?other_tag=${encodeURIComponent(tag)}&limit=10`));
    fill(told, h('p', {}, `Since ${tag}: ${counted(found.only_here_count, 'pattern')} more, ${number(found.only_there_count)} fewer, ${number(found.changed_count)} changed, ${number(found.shared_count)} the same.`),
      h('ul', { class: 'small' }, found.only_here.map((one) => h('li', { class: 'added' }, one.text)), found.only_there.map((one) => h('li', { class: 'gone' }, one.text))));
  };
  const tag = h('input', { name: 'tag', required: true, autocomplete: 'off', pattern: '[A-Za-z0-9][A-Za-z0-9._\\-]*' });
  const form = h('form', { class: 'inline' }, field('New checkpoint', tag), h('button', { type: 'submit' }, 'Save'));
  form.addEventListener('submit', act(form, told, async () => {
    await post(memory(name, '/checkpoints'), { tag: tag.value.trim() });
    say(`Saved ${tag.value}.`);
    await refresh(true);
  }));
  const versions = page.checkpoints.map((one) => h('li', {},
    h('div', {}, h('b', {}, one.tag), h('span', { class: 'muted small' }, ` ${counted(one.observation_count, 'observation')}, ${when(one.created_at)}`)),
    h('div', { class: 'row' }, button('Diff', one.tag, diff), button('Fork', one.tag, fork), button('Restore', one.tag, restore, 'danger'))));
  fill(parts.versions, form, versions.length ? h('ul', { class: 'versions' }, versions) : h('p', { class: 'muted' }, 'None yet: a checkpoint can be restored, forked and compared.'), told);
}
