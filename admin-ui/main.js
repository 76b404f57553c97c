// The admin page: decides which door or screen is shown.

import { get, watchCertificate } from './api.js';
import { auditScreen } from './audit.js';
import { CertificateAlarm } from './certificate.js';
import { door, loginDoor, setUpDoor } from './doors.js';
import { el } from './dom.js';
import { peopleScreen } from './people.js';
import { relayScreen } from './relay.js';
import { retentionScreen } from './retention.js';
import { roomsScreen } from './rooms.js';
import { Session } from './session.js';

const kScreens = [
  { id: 'rooms', title: 'Rooms now', make: roomsScreen },
  { id: 'audit', title: 'Audit log', make: auditScreen },
  { id: 'relay', title: 'Relay', make: relayScreen },
  { id: 'people', title: 'People', make: peopleScreen },
  { id: 'retention', title: 'Retention', make: retentionScreen },
];

// The set-up code, or an invitation's code and name, comes in the link's fragment, which no server and no log
// sees; it leaves the address bar and the history at once.
function takeSetUpCode() {
  const given = new URLSearchParams(location.hash.slice(1));
  const code = given.get('code') ?? '';
  if (code) history.replaceState(null, '', location.pathname);
  return { code, name: given.get('name') ?? '' };
}

const app = document.getElementById('app');

function show(node, title) {
  document.title = `${title} · Bedside administration`;
  app.replaceChildren(node);
  node.querySelector('[autofocus]')?.focus();
}

async function arrive({ code, name }, notice) {
  let state;
  try {
    state = await get('state');
  } catch (error) {
    const again = el('button', { type: 'button', onclick: () => arrive({ code, name }) }, 'Try again');
    return show(door('No answer', el('p', {}, error.message), again), 'No answer');
  }
  if (code && name && !state.setUpNeeded) return show(setUpDoor({ code, name, ondone: enter }), 'Your account');
  if (state.session) return enter(state.session.account);
  if (state.setUpNeeded) {
    return show(setUpDoor({ code, ondone: enter }), 'Set up');
  }
  const done = code ? 'An administrator account exists already, so the set-up link is no longer needed.' : notice;
  show(loginDoor({ notice: done, onlogin: enter }), 'Log in');
}

function enter(account) {
  const session = new Session(account);
  const alarm = new CertificateAlarm();
  watchCertificate((certificate) => alarm.hear(certificate));
  const made = new Map();
  const tabs = kScreens.map(({ id, title }) => el('a', { href: `#${id}` }, title));
  const body = el('div', {});
  // What is said on every screen stays in its place: moved, it would be read out again.
  const place = el('main', { class: 'screen', id: 'screen', tabindex: '-1' }, session.banner, alarm.node, body);
  const frame = el('div', {},
    el('a', { class: 'skip', href: '#screen', onclick: (event) => { event.preventDefault(); place.focus(); } }, 'Skip to the content'),
    el('header', { class: 'top' }, el('div', { class: 'top-inner' },
      el('div', { class: 'brand' }, el('img', { src: '/admin/icon.svg', alt: '' }), 'Bedside'),
      el('nav', { class: 'tabs', 'aria-label': 'Screens' }, tabs),
      el('div', { class: 'who' },
        el('span', { class: 'name', title: account }, el('span', { class: 'visually-hidden' }, 'Logged in as '), account),
        el('button', { type: 'button', class: 'text', onclick: () => session.logout() }, 'Log out')))),
    place);
  let current = null;

  // Screens are kept, with what was typed and filtered in them, while another one is shown.
  const route = (moved) => {
    const [id, argument] = location.hash.slice(1).split('=');
    const index = Math.max(0, kScreens.findIndex((screen) => screen.id === id));
    const { id: shown, title, make } = kScreens[index];
    current?.leave();
    if (!made.has(shown)) made.set(shown, make());
    current = made.get(shown);
    tabs.forEach((tab, i) => (i === index ? tab.setAttribute('aria-current', 'page') : tab.removeAttribute('aria-current')));
    document.title = `${title} · Bedside administration`;
    body.replaceChildren(current.node);
    current.enter(argument && decodeURIComponent(argument));
    if (moved) place.querySelector('h1').focus();
  };
  app.replaceChildren(frame);
  window.addEventListener('hashchange', () => route(true));
  document.addEventListener('session-renewed', () => current.enter());
  route(true);
}

arrive(takeSetUpCode());
