// Elements without markup in strings: text stays text, whatever somebody typed into it.

const kSvg = 'http://www.w3.org/2000/svg';

function fill(node, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export function el(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

export function svg(tag, properties = {}, ...children) {
  return fill(document.createElementNS(kSvg, tag), properties, children);
}

// Words that only screen readers get: which of many like things this one is.
export const unseen = (text) => el('span', { class: 'visually-hidden' }, text);

let ids = 0;
export const freshId = (stem) => `${stem}-${++ids}`;

// Says something once to a screen reader, wherever the focus is.
export function announce(text) {
  const place = document.getElementById('announcer');
  place.textContent = '';
  setTimeout(() => { place.textContent = text; }, 50);
}

// A labelled input with a hint and a place for a complaint that screen readers connect with it.
export function field({ label, hint, name, type = 'text', options, ...attributes }) {
  const id = freshId(name);
  const input = options
    ? el('select', { id, name, ...attributes }, options.map(optionElement))
    : el('input', { id, name, type, ...attributes });
  const complaint = el('p', { id: `${id}-complaint`, class: 'complaint', hidden: true });
  const note = hint ? el('p', { id: `${id}-hint`, class: 'hint' }, hint) : null;
  input.setAttribute('aria-describedby', `${id}-complaint${note ? ` ${id}-hint` : ''}`);
  const node = el('div', { class: 'field' }, el('label', { for: id }, label), input, note, complaint);
  const complain = (text) => {
    complaint.textContent = text ?? '';
    complaint.hidden = !text;
    if (text) input.setAttribute('aria-invalid', 'true');
    else input.removeAttribute('aria-invalid');
  };
  input.addEventListener('input', () => complain(null));
  return { node, input, complain };
}

function optionElement({ value, text, group }) {
  if (!group) return el('option', { value }, text);
  return el('optgroup', { label: text }, group.map(optionElement));
}

// A password field with a button that shows what was typed: fewer typing errors, longer passwords.
export function passwordField(properties) {
  const made = field({ ...properties, type: 'password' });
  const word = document.createTextNode('Show');
  const button = el('button', { type: 'button', class: 'secondary' }, word, unseen(` ${properties.label.toLowerCase()}`));
  button.addEventListener('click', () => {
    const show = made.input.type === 'password';
    made.input.type = show ? 'text' : 'password';
    word.data = show ? 'Hide' : 'Show';
  });
  const row = el('div', { class: 'with-button' });
  made.input.replaceWith(row);
  row.append(made.input, button);
  return made;
}
