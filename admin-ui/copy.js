// A link to hand on: shown in full, copied by one button.

import { announce, el, freshId, unseen } from './dom.js';

export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;  // no permission, or not a secure page: the text can still be selected by hand
  }
}

// `of` tells screen readers which link it is.
export function copyButton(text, of, { kind = 'secondary', onfailure = () => {} } = {}) {
  const label = document.createTextNode('Copy link');
  const button = el('button', { type: 'button', class: kind }, label, unseen(` (${of})`));
  button.addEventListener('click', async () => {
    const done = await copyText(text);
    if (!done) onfailure();
    label.data = done ? 'Copied ✓' : 'Copy it by hand';
    announce(done ? 'Link copied' : 'Copying is not possible here. Select the link and copy it by hand.');
    setTimeout(() => { label.data = 'Copy link'; }, 2500);
  });
  return button;
}

export function linkRow(label, link, hint) {
  const id = freshId('link');
  const input = el('input', { id, readonly: true, value: link, 'aria-describedby': hint ? `${id}-hint` : undefined });
  input.addEventListener('focus', () => input.select());
  const button = copyButton(link, label, { kind: '', onfailure: () => input.select() });
  return el('div', { class: 'field' }, el('label', { for: id }, label),
    el('div', { class: 'with-button' }, input, button),
    hint && el('p', { class: 'hint', id: `${id}-hint` }, hint));
}
