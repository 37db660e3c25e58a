// Which page is shown, and the question for a key.

import { ask, fill, h, say, showError } from './dom.js';
import { config, loadConfig, setKey } from './api.js';
import { memories } from './memories.js';
import { oneMemory } from './memory.js';
import { chat } from './chat.js';
import { live } from './live.js';
import { interactive } from './interactive.js';
import { about } from './about.js';

const PAGES = { memories, memory: oneMemory, chat, live, interactive, about };
const TITLES = { memories: 'Memories', memory: 'Memory', chat: 'Chat', live: 'Live demo', interactive: 'Interactive', about: 'About' };
const main = document.getElementById('main');

let leave = null;
let visit = 0;

async function show() {
  const [, page = '', argument = ''] = location.hash.split('/');
  const name = page in PAGES ? page : config.persona ? 'chat' : 'memories';
  const own = ++visit;
  leave?.();
  leave = null;
  for (const link of document.querySelectorAll('#nav a')) {
    const isHere = link.getAttribute('href') === `#/${name === 'memory' ? 'memories' : name}`;
    if (isHere) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  document.title = `${argument ? decodeURIComponent(argument) : TITLES[name]} - Neural Memory`;
  const place = h('div', { class: 'page' });
  fill(main, place);
  try {
    const left = await PAGES[name](place, decodeURIComponent(argument));
    if (own === visit) leave = left || null;
    else left?.();
  } catch (error) {
    if (own === visit) showError(place, error);
  }
}

let isAsking = false;

addEventListener('needs-key', async () => {
  if (isAsking) return;
  isAsking = true;
  const given = await ask({
    title: 'This service asks for a key',
    text: 'It stays in this browser tab. Make one with: neural-memory keys create',
    confirm: 'Use this key',
    inputs: [{ name: 'key', label: 'API key', type: 'password' }],
  });
  isAsking = false;
  if (given === null) return;
  setKey(given.key);
  await show();
});

addEventListener('hashchange', async () => {
  await show();
  main.focus({ preventScroll: false });
  say(document.title);
});

// Its address is no page of ours.
document.querySelector('.skip').addEventListener('click', (event) => {
  event.preventDefault();
  main.focus();
});

await loadConfig();
await show();
