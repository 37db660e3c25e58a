// A conversation with a memory: what it recalls, what it learns, and keeping it.

import { act, ask, counted, field, fill, h, say, showError } from './dom.js';
import { call, chatChunks, config, post } from './api.js';

export async function chat(place) {
  const persona = config.persona;
  const talk = h('ol', { class: 'talk', 'aria-live': 'polite', 'aria-label': 'Conversation' });
  const note = h('div');
  const text = h('textarea', { rows: 2, required: true, name: 'message' });
  const chosen = h('input', { name: 'memory', autocomplete: 'off', value: persona ? persona.memory : config.memory });
  const form = h('form', { class: 'say' }, field('Your message', text), h('button', { type: 'submit' }, 'Send'));
  const keep = h('button', { type: 'button', class: 'quiet' }, 'Keep what you told it');
  let session = null;
  const before = persona?.system ? [{ role: 'system', content: persona.system }] : [];
  const open = async () => session || (session = (await call('POST', '/v1/sessions', {}, 'chat')).id);
  const send = async (said) => {
    const turn = bubble('assistant');
    talk.append(bubble('user', said).element, turn.element);
    text.value = '';
    try {
      const body = { messages: [...before, { role: 'user', content: said }], session: await open() };
      if (chosen.value.trim()) body.memory = chosen.value.trim();
      for await (const chunk of chatChunks(body)) {
        turn.add(chunk.choices[0].delta.content || '');
        if (chunk.neural_memory) turn.report(chunk.neural_memory);
      }
    } catch (error) {
      if (error.code === 'SESSION_NOT_FOUND') session = null;
      showError(turn.place, error);
    }
    turn.element.scrollIntoView({ block: 'nearest' });
    text.focus();
  };
  form.addEventListener('submit', act(form, note, () => send(text.value.trim())));
  text.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && !event.shiftKey && text.value.trim()) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
  keep.addEventListener('click', act(keep, note, async () => {
    if (!session) return fill(note, h('p', {}, 'You have told it nothing yet.'));
    const given = await ask({ title: 'Keep what you told it', text: 'A long-term memory learns what this session knows.', confirm: 'Keep', inputs: [{ name: 'memory', label: 'Memory', value: chosen.value }] });
    if (!given) return undefined;
    const kept = await post(`/v1/sessions/${session}/promote`, { memory: given.memory }, 'chat');
    say(`${counted(kept.texts_merged, 'text')} kept.`);
    return fill(note, h('p', {}, `${kept.memory} learned ${counted(kept.texts_merged, 'text')}; ${kept.texts_known} it knew.`));
  }));
  fill(place,
    h('h1', {}, persona ? `Chat with ${persona.name}` : 'Chat with a memory'),
    h('p', { class: 'muted' }, persona ? `${persona.role[0].toUpperCase()}${persona.role.slice(1)}.` : 'It answers from what it learned and remembers what you say for this session.',
      ` Answers are ${config.provider === 'none' ? 'put together from what was recalled; no language model is configured' : `written by ${config.model}`}.`),
    h('div', { class: 'card' },
      persona?.greeting && (talk.append(bubble('assistant', persona.greeting).element), null), talk,
      persona?.questions?.length && h('div', { class: 'row' }, persona.questions.map((question) => h('button', { type: 'button', class: 'quiet small', onclick: () => send(question) }, question))),
      form, note),
    h('details', { class: 'card' }, h('summary', {}, 'Which memory, and keeping it'), field('Long-term memory', chosen, 'Leave it empty to talk with the session alone.'), !config.chat_key && keep));
}

function bubble(role, said = '') {
  const words = h('p', { class: 'words' }, said);
  const place = h('div');
  const element = h('li', { class: role }, h('span', { class: 'who' }, role === 'user' ? 'You' : config.persona?.name || 'Memory'), words, place);
  return {
    element, place,
    add: (piece) => { words.textContent += piece; },
    report: (report) => fill(place,
      report.note && h('p', { class: 'error' }, report.note),
      report.learned.filter((one) => one.learned).map((one) => h('span', { class: 'chip' }, `learned in ${one.memory}, surprise ${one.surprise.toFixed(2)}`)),
      report.patterns.length > 0 && h('details', { class: 'small' }, h('summary', {}, `${counted(report.patterns.length, 'pattern')} recalled`),
        h('ul', {}, report.patterns.map((one) => h('li', {}, h('b', {}, `[${one.memory}#${one.pattern}] `), one.exemplars[0].text,
          one.exemplars[0].occurred_at && h('span', { class: 'muted' }, ` (${one.exemplars[0].occurred_at})`))))),
    ),
  };
}
