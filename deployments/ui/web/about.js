// What this is, how it is built, what it stands on, and what it cannot do.

import { fill, h, section } from './dom.js';

const PAPERS = [
  ['Titans: Learning to Memorize at Test Time', '2501.00663'],
  ['Learning to (Learn at Test Time): RNNs with Expressive Hidden States', '2407.04620'],
  ['ATLAS: Learning to Optimally Memorize the Context at Test Time', '2505.23735'],
  ['Large Memory Layers with Product Keys', '1907.05242'],
  ['Overcoming catastrophic forgetting in neural networks (EWC)', '1612.00796'],
];

export async function about(place) {
  fill(place, h('h1', {}, 'About'),
    h('div', { class: 'columns' },
      section('What it is', h('p', {}, 'A memory that learns while it is used. Observing a text changes the weights of a small network; asking reads them. There is no training before or after, and the network does not grow.'),
        h('p', {}, 'Surprise says how new a text is, from 0 to 1, before anything is learned. Checkpoints, forks and restores version what was learned as git versions code.')),
      section('How it is built', h('ol', {},
        h('li', {}, 'A text is cut into sentences; an encoder gives each a key of 384 numbers.'),
        h('li', {}, 'The observation goes into a journal and is synced before it is answered: a crash loses nothing that was acknowledged.'),
        h('li', {}, 'The passage strengthens the pattern it resembles, or recruits a new one; 128 of 16,384 rows of fast weights take a step of the delta rule.'),
        h('li', {}, 'An answer is read through several channels at once: weights, words, context, speaker, precision.'),
        h('li', {}, 'Each memory has one proven writer, in a Ray actor; HTTP and MCP are doors to it.'))),
      section('What it stands on', h('ul', {}, PAPERS.map(([title, number]) => h('li', {}, h('a', { href: `https://arxiv.org/abs/${number}`, rel: 'noreferrer' }, title))))),
      section('What it cannot do', h('ul', {},
        h('li', {}, 'Without a language model answers are put together from what was observed, not written.'),
        h('li', {}, 'Weights do not delete a row: forgetting rebuilds the memory without the subject, and a receipt says what was measured. Checkpoints made earlier keep what they have.'),
        h('li', {}, 'When all units are in use the two patterns most alike become one, and at last the weakest makes room; or the memory refuses.'),
        h('li', {}, 'The default encoder reads English best.'))),
      section('Use it', h('p', {}, 'HTTP: ', h('a', { href: '/docs' }, '/docs'), '. MCP: /mcp. Chat in the form of OpenAI: POST /v1/chat.'))));
}
