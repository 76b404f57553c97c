// People: who may log in here. A second account is what two-person decisions need.

import { get, post } from './api.js';
import { linkRow } from './copy.js';
import { confirmation } from './dialog.js';
import { announce, el, field, unseen } from './dom.js';
import { timestamp, utcText } from './format.js';

function inviteForm(oninvited) {
  const name = field({
    label: 'Account name', name: 'name', autocomplete: 'off', autocapitalize: 'none', spellcheck: 'false', maxlength: 64, required: true,
    hint: 'It stands in the audit log beside what the person does. They choose the password themselves.',
  });
  const button = el('button', { type: 'submit' }, 'Invite');
  const problem = el('p', { class: 'note bad', role: 'alert', hidden: true });
  const made = el('div', { class: 'made', hidden: true });
  const form = el('form', { novalidate: true }, name.node, button);
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    problem.hidden = true;
    const wanted = name.input.value.trim();
    if (!/^[A-Za-z0-9._@-]{1,64}$/.test(wanted)) {
      name.complain('Use 1 to 64 letters, digits and . _ - @ only.');
      return name.input.focus();
    }
    button.disabled = true;
    try {
      const answer = await post('people/invite', { name: wanted });
      const heading = `Invitation for ${answer.name}`;
      made.replaceChildren(el('h2', { tabindex: '-1' }, heading),
        linkRow('Link to hand on', new URL(answer.link, location.origin).href,
          `Give it to that person only, best by hand. It works once, until ${timestamp(answer.expiresAt)}, and is shown only now.`));
      made.hidden = false;
      made.querySelector('h2').focus();
      announce(heading);
      form.reset();
      oninvited();
    } catch (error) {
      if (error.kind === undefined) throw error;
      problem.textContent = error.message;
      problem.hidden = error.kind === 'expired';
    } finally {
      button.disabled = false;
    }
  });
  return el('section', { class: 'card create one', 'aria-label': 'Invite a person' }, el('h2', {}, 'Invite a person'), problem, form, made);
}

export function peopleScreen() {
  const problem = el('p', { class: 'note bad', role: 'alert', hidden: true });
  const list = el('ul', { class: 'rows' });
  let account = '';

  const complain = (error) => {
    if (error.kind === undefined) throw error;
    problem.textContent = error.message;
    problem.hidden = error.kind === 'expired';
  };

  async function disable(name) {
    const sure = await confirmation({
      title: `Disable ${name}?`,
      paragraphs: ['Nobody can log in with this account any more, and its sessions end now. It cannot be enabled again; its name stays taken, because records carry it.'],
      confirm: 'Disable', keep: 'Keep it',
    });
    if (!sure) return;
    try {
      await post('people/disable', { name });
      announce(`${name} is disabled`);
      await load();
    } catch (error) {
      complain(error);
    }
  }

  function accountRow(row) {
    const own = row.name === account;
    const state = row.disabledAt
      ? el('span', { class: 'badge' }, `Disabled ${timestamp(row.disabledAt)}`)
      : el('span', { class: 'badge ok' }, own ? 'You' : 'Can log in');
    const button = !own && !row.disabledAt
      && el('button', { type: 'button', class: 'danger-quiet', onclick: () => disable(row.name) }, 'Disable…', unseen(` (${row.name})`));
    return el('li', {}, el('div', {}, el('strong', {}, row.name), ' ', state,
      el('p', { class: 'quiet small', title: utcText(row.createdAt) }, `Since ${timestamp(row.createdAt)}`)), button);
  }

  const invitationRow = (row) => el('li', {}, el('div', {}, el('strong', {}, row.name), ' ', el('span', { class: 'badge warn' }, 'Invited'),
    el('p', { class: 'quiet small' }, `By ${row.invitedBy || 'somebody at the server'}, until ${timestamp(row.expiresAt)}`)));

  async function load() {
    try {
      const answer = await get('people');
      account = answer.session.account;
      problem.hidden = true;
      list.replaceChildren(...answer.accounts.map(accountRow), ...answer.invitations.map(invitationRow));
    } catch (error) {
      complain(error);
    }
  }

  const node = el('div', { class: 'screen-body' },
    el('div', { class: 'screen-head' }, el('h1', { tabindex: '-1' }, 'People')),
    el('p', { class: 'quiet' }, 'Everybody here can do everything on this page, under their own name. Some decisions, like deleting old audit records, need two of them.'),
    problem, el('section', { class: 'card', 'aria-label': 'Accounts' }, list), inviteForm(() => load()));
  return { node, enter: load, leave: () => {} };
}
