// Elements from plain values. Text always goes through text nodes, so nothing that was observed can become markup.

const SVG = 'http://www.w3.org/2000/svg';

export function h(tag, attributes = {}, ...children) {
  return build(document.createElement(tag), attributes, children);
}

export function s(tag, attributes = {}, ...children) {
  return build(document.createElementNS(SVG, tag), attributes, children);
}

function build(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name === 'value') element.value = value;
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  add(element, children);
  return element;
}

function add(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
}

export function fill(element, ...children) {
  const fresh = document.createDocumentFragment();
  add(fresh, children);
  element.replaceChildren(fresh);
  return element;
}

export function say(text) {
  document.getElementById('status').textContent = text;
}

let fields = 0;

/** A labelled control. */
export function field(label, control, hint) {
  const id = control.id || (control.id = `field-${++fields}`);
  return h('div', { class: 'field' }, h('label', { for: id }, label), control, hint && h('p', { class: 'hint' }, hint));
}

export function section(title, ...children) {
  const id = `section-${++fields}`;
  return h('section', { class: 'card', 'aria-labelledby': id }, h('h2', { id }, title), ...children);
}

/** `1 pattern`, `2,000 patterns`. */
export function counted(count, noun) {
  return `${number(count)} ${noun}${count === 1 ? '' : 's'}`;
}

export function meter(label, value, text) {
  const bar = h('meter', { min: 0, max: 1, value, 'aria-label': label });
  bar.value = value;
  return h('div', { class: 'meter' }, h('span', {}, label), bar, h('span', { class: 'number' }, text));
}

/** What a memory answers, or why it does not. */
export function answered(answer) {
  const unsure = answer.patterns.length ? 'It is not sure enough to answer. This comes nearest:' : 'It has learned nothing that answers this.';
  return h('p', { class: 'answer' }, answer.response || unsure);
}

export function percent(value) {
  return value > 0 && value < 0.001 ? '<0.1%' : `${(100 * value).toFixed(value < 0.1 ? 1 : 0)}%`;
}

export function number(value) {
  return Number(value).toLocaleString('en');
}

export function when(iso) {
  if (!iso) return '';
  const time = new Date(iso);
  return Number.isNaN(time.getTime()) ? iso : time.toLocaleString('en', { dateStyle: 'medium', timeStyle: 'short' });
}

export function clock(iso) {
  return iso ? new Date(iso).toLocaleTimeString('en', { hour12: false }) : '';
}

/** Runs an action of a form or button: busy meanwhile, an error in words when it fails. */
export function act(control, place, work) {
  return async (event) => {
    event?.preventDefault();
    if (control.getAttribute('aria-busy') === 'true') return;
    control.setAttribute('aria-busy', 'true');
    try {
      await work(event);
    } catch (error) {
      showError(place, error);
    } finally {
      control.setAttribute('aria-busy', 'false');
    }
  };
}

export function showError(place, error) {
  const text = error.message || String(error);
  fill(place, h('p', { class: 'error' }, text, error.hint ? ` ${error.hint}` : ''));
  say(text);
}

/** A modal question; resolves to the form's values, or null when it was dismissed. */
export function ask({ title, text, confirm, danger = false, inputs = [] }) {
  return new Promise((resolve) => {
    const controls = inputs.map((input) =>
      h('input', { name: input.name, type: input.type || 'text', required: true, autocomplete: 'off', value: input.value || '' }));
    const id = `dialog-${++fields}`;
    const dialog = h('dialog', { 'aria-labelledby': id },
      h('form', { method: 'dialog' },
        h('h2', { id }, title), text && h('p', {}, text),
        inputs.map((input, place) => field(input.label, controls[place], input.hint)),
        h('div', { class: 'row end' },
          h('button', { type: 'button', class: 'quiet', onclick: () => dialog.close('') }, 'Cancel'),
          h('button', { type: 'submit', value: 'yes', class: danger ? 'danger' : '' }, confirm))));
    dialog.addEventListener('close', () => {
      const values = Object.fromEntries(controls.map((control) => [control.name, control.value.trim()]));
      dialog.remove();
      resolve(dialog.returnValue === 'yes' ? values : null);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
