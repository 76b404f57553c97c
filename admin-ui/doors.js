// The ways in: making an account with a one-time code (the first, or one somebody was invited to), and logging in.

import { post } from './api.js';
import { el, field, passwordField } from './dom.js';
import { plural } from './format.js';

const kMinCharacters = 12;

function brand() {
  return el('div', { class: 'brand' }, el('img', { src: '/admin/icon.svg', alt: '' }), 'Bedside administration');
}

export function door(title, ...content) {
  return el('main', { class: 'gate' }, el('div', { class: 'card' }, brand(), el('h1', {}, title), ...content));
}

// A form that sends once at a time, says what went wrong and honours the server's "wait".
function sendingForm({ fields, button, busy, send, explain }) {
  const problem = el('p', { class: 'note bad', role: 'alert', hidden: true });
  const submit = el('button', { type: 'submit' }, button);
  const form = el('form', { novalidate: true }, problem, fields.map((each) => each.node), submit);
  let working = false;
  const blocked = (on, text) => {
    working = on;
    submit.textContent = text;
    submit.setAttribute('aria-disabled', String(on));
  };
  const wait = (seconds) => {
    if (seconds <= 0) return blocked(false, button);
    blocked(true, `Try again in ${plural(seconds, 'second')}`);
    setTimeout(() => wait(seconds - 1), 1000);
  };
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (working) return;
    problem.hidden = true;
    fields.forEach((each) => each.complain(each.check()));
    const wrong = fields.find((each) => each.check());
    if (wrong) return wrong.input.focus();
    blocked(true, busy);
    try {
      await send();
      blocked(false, button);
    } catch (error) {
      if (error.kind === undefined) throw error;
      problem.textContent = explain(error);
      problem.hidden = false;
      wait(error.kind === 'wait' ? error.seconds : 0);
    }
  });
  return form;
}

function waitText(error) {
  return `Too many attempts. For safety the next one is possible in ${plural(Math.max(1, error.seconds), 'second')}.`;
}

export function loginForm({ name = '', onlogin }) {
  const account = field({ label: 'Name', name: 'name', value: name, autocomplete: 'username', autocapitalize: 'none', spellcheck: 'false', required: true });
  const password = passwordField({ label: 'Password', name: 'password', autocomplete: 'current-password', required: true });
  account.check = () => (account.input.value.trim() ? null : 'Type your account name.');
  password.check = () => (password.input.value ? null : 'Type your password.');
  if (name) password.input.autofocus = true;
  else account.input.autofocus = true;
  return sendingForm({
    fields: [account, password], button: 'Log in', busy: 'Checking…',
    send: async () => {
      const answer = await post('login', { name: account.input.value.trim(), password: password.input.value });
      password.input.value = '';
      onlogin(answer.account);
    },
    explain: (error) => {
      if (error.kind === 'wait') return waitText(error);
      if (error.code !== 'wrong-credentials') return error.message;
      password.input.select();
      return 'The name or the password is not right. Failed logins are recorded.';
    },
  });
}

export function loginDoor({ notice, onlogin }) {
  return door('Log in', notice && el('p', { class: 'note ok', role: 'status' }, notice), loginForm({ onlogin }));
}

// `name`: of an invitation, which is for nobody else.
export function setUpDoor({ code, name = '', ondone }) {
  const key = field({
    label: 'Set-up code', name: 'code', value: code, autocomplete: 'off', autocapitalize: 'characters', spellcheck: 'false', required: true, class: 'mono',
    hint: code ? 'Taken from your link.' : 'Bedside printed it when it started. It works once.',
  });
  const account = field({
    label: 'Your account name', name: 'name', value: name, readonly: name !== '', autocomplete: 'username', autocapitalize: 'none', spellcheck: 'false', maxlength: 64, required: true,
    hint: 'It stands in the audit log beside what you do.',
  });
  const password = passwordField({
    label: 'Password', name: 'password', autocomplete: 'new-password', required: true,
    hint: `At least ${kMinCharacters} characters. A short sentence is easy to remember and hard to guess.`,
  });
  const again = field({ label: 'Password again', name: 'again', type: 'password', autocomplete: 'new-password', required: true });
  key.check = () => (key.input.value.trim() ? null : 'Type the set-up code.');
  account.check = () => (/^[A-Za-z0-9._@-]{1,64}$/.test(account.input.value.trim()) ? null : 'Use letters, digits and . _ - @ only.');
  password.check = () => {
    const missing = kMinCharacters - [...password.input.value].length;
    return missing > 0 ? `${plural(missing, 'more character')} needed.` : null;
  };
  again.check = () => (again.input.value === password.input.value ? null : 'This is not the same password.');
  (name ? password : code ? account : key).input.autofocus = true;
  const form = sendingForm({
    fields: [key, account, password, again], button: 'Create the account', busy: 'Creating…',
    send: async () => {
      const answer = await post('setup', { code: key.input.value, name: account.input.value.trim(), password: password.input.value });
      ondone(answer.account);
    },
    explain: (error) => (error.kind === 'wait' ? waitText(error) : error.message),
  });
  if (name) return door('Your account', el('p', {}, 'You were invited to administer Bedside. Choose a password that only you know.'), form);
  return door('Set up Bedside', el('p', {}, 'Make the first administrator account. There is none yet.'), form);
}
