// Questions that need an answer before anything happens. The browser's own <dialog> keeps the focus inside
// and gives it back.

import { el, freshId } from './dom.js';

export function openDialog({ title, content, buttons, covering = false, dismissable = true }) {
  const id = freshId('dialog');
  const node = el('dialog', { class: covering ? 'covering' : undefined, 'aria-labelledby': id },
    el('div', { class: 'stack' }, el('h2', { id }, title), content, buttons && el('div', { class: 'actions' }, buttons)));
  if (!dismissable) {
    node.addEventListener('cancel', (event) => event.preventDefault());
    // A second Escape in a row closes a dialog whatever its cancel event says; the key itself is stopped.
    node.addEventListener('keydown', (event) => { if (event.key === 'Escape') event.preventDefault(); });
  }
  node.addEventListener('close', () => node.remove());
  document.body.append(node);
  node.showModal();
  return node;
}

// Resolves to true when the person confirmed. The safe answer has the focus.
export function confirmation({ title, paragraphs, confirm, keep }) {
  return new Promise((resolve) => {
    let agreed = false;
    const no = el('button', { type: 'button', class: 'secondary', autofocus: true, onclick: () => node.close() }, keep);
    const yes = el('button', { type: 'button', class: 'danger', onclick: () => { agreed = true; node.close(); } }, confirm);
    const node = openDialog({ title, content: paragraphs.map((text) => el('p', {}, text)), buttons: [no, yes] });
    node.addEventListener('close', () => resolve(agreed));
  });
}
