// The service, with the visitor's key. The key stays in this tab and travels in a header, never in an address.

const KEY = 'neural-memory-key';

export let config = {};

export async function loadConfig() {
  config = await (await fetch('/ui/config.json')).json();
}

export class ApiError extends Error {
  constructor(status, detail) {
    super(detail.message || `The service answered ${status}.`);
    this.status = status;
    this.code = detail.code || '';
    this.hint = detail.hint || '';
  }
}

export function keyOf(door) {
  return (door === 'chat' ? config.chat_key : config.api_key) || sessionStorage.getItem(KEY) || '';
}

export function setKey(key) {
  if (key) sessionStorage.setItem(KEY, key);
  else sessionStorage.removeItem(KEY);
}

export async function send(method, path, body, door) {
  const headers = {};
  const key = keyOf(door);
  if (key) headers.Authorization = `Bearer ${key}`;
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  let answer;
  try {
    answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new ApiError(0, { message: 'The service cannot be reached.', hint: 'Look whether it runs.' });
  }
  if (answer.ok) return answer;
  const detail = (await answer.json().catch(() => ({}))).error || {};
  if (answer.status === 401) dispatchEvent(new Event('needs-key'));
  throw new ApiError(answer.status, detail);
}

export async function call(method, path, body, door) {
  const answer = await send(method, path, body, door);
  return answer.status === 204 ? null : answer.json();
}

export const memory = (name, action = '') => `/v1/memories/${encodeURIComponent(name)}${action}`;
export const get = (path) => call('GET', path);
export const post = (path, body = {}, door = undefined) => call('POST', path, body, door);

/** The chunks of a streamed chat. */
export async function* chatChunks(body) {
  const answer = await send('POST', '/v1/chat', { ...body, stream: true }, 'chat');
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const events = (rest + value).split('\n\n');
    rest = events.pop();
    for (const event of events) {
      const data = event.replace(/^data: /, '');
      if (data === '[DONE]') return;
      yield JSON.parse(data);
    }
  }
}
