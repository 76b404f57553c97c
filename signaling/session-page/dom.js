// Small verbs on the page's elements.

/** @param {string} id  @returns {HTMLElement} */
export const byId = (id) => document.getElementById(id);

/** An element with a class and text; text is never read as markup. */
export function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}

/** A drawing of the page's symbols, decoration only. */
export function makeIcon(name) {
  const kSvg = 'http://www.w3.org/2000/svg';
  const icon = document.createElementNS(kSvg, 'svg');
  icon.setAttribute('class', 'icon');
  icon.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS(kSvg, 'use');
  use.setAttribute('href', `#icon-${name}`);
  icon.append(use);
  return icon;
}

/** Writes only what is new: screen readers and layout stay calm. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** A switch: `data-on` chooses the drawing, the label says what pressing does. */
export function setSwitch(button, on, label) {
  button.dataset.on = String(on);
  setText(button.querySelector('.label'), label);
}

/** Says something to screen readers without moving anything. */
export function announce(text) {
  const announcer = byId('announcer');
  // The same sentence twice is two events.
  announcer.textContent = announcer.textContent === text ? `${text}\u00a0` : text;
}

/** Shows one of the page's screens and puts the focus on its title. */
export function showScreen(id) {
  for (const screen of document.querySelectorAll('main')) screen.hidden = screen.id !== id;
  document.body.dataset.screen = id;
  window.scrollTo(0, 0);
  byId(`${id}-title`).focus({ preventScroll: true });
}

const kSureTime = 6_000;  // ms within which the second press counts

/** A button to be pressed twice: the first press asks, the second does it. */
export function askTwice(button, label, question, act) {
  let timer = 0;
  const rest = () => {
    clearTimeout(timer);
    timer = 0;
    setText(button, label);
  };
  button.addEventListener('click', () => {
    if (timer) {
      rest();
      act();
      return;
    }
    setText(button, question);
    announce(`${question} Press again to confirm.`);
    timer = setTimeout(rest, kSureTime);
  });
  setText(button, label);
}
