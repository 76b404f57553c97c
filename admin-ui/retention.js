// Retention: how long audit records are kept, what a purge would take, and the two persons it needs.

import { get, post } from './api.js';
import { confirmation } from './dialog.js';
import { announce, el } from './dom.js';
import { count, plural, timestamp, utcText } from './format.js';
import { Holds } from './holds.js';

const kArchivePatienceMs = 600_000;  // an archive of many records is written and checked meanwhile
const kYears = { year: 'numeric', month: 'long', day: 'numeric' };
const day = (ms) => new Intl.DateTimeFormat(navigator.language || 'en', kYears).format(ms);

function planText(plan) {
  const held = plan.held ? ` ${plural(plan.held, 'record stays', 'records stay')} because of holds.` : '';
  return `Records ${count(plan.from)} to ${count(plan.through)}, from ${day(plan.oldestAt)} to ${day(plan.newestAt)}: `
    + `${plural(plan.records, 'record')} would go.${held}`;
}

const purgeRow = (purge) => el('li', {}, el('div', {},
  el('strong', {}, `Records ${count(purge.from)} to ${count(purge.through)}`),
  el('p', { title: utcText(purge.at) }, `${plural(purge.removed, 'record')} removed on ${timestamp(purge.at)}, older than ${plural(purge.keepYears, 'year')}. `
    + `Proposed by ${purge.proposedBy}, approved by ${purge.approvedBy}.`),
  el('p', { class: 'quiet small mono wrap' }, `Archive ${purge.archive}`)));

export function retentionScreen() {
  const problem = el('p', { class: 'note bad', role: 'alert', hidden: true });
  const done = el('p', { class: 'note ok', role: 'status', hidden: true });
  const policy = el('p', {});
  const state = el('div', { class: 'stack' });
  const purges = el('ul', { class: 'rows' });
  const never = el('p', { class: 'quiet' }, 'Nothing was ever purged: the log is complete.');
  const holds = new Holds(() => load());

  const complain = (error) => {
    if (error.kind === undefined) throw error;
    problem.textContent = error.message;
    problem.hidden = error.kind === 'expired';
  };

  // Runs one decision and shows what is so afterwards.
  async function decide(button, path, body, said, options) {
    problem.hidden = true;
    done.hidden = true;
    button.disabled = true;
    const before = button.textContent;
    button.textContent = 'Please wait…';
    try {
      const answer = await post(path, body, options);
      done.textContent = said(answer);
      done.hidden = false;
      announce(done.textContent);
    } catch (error) {
      complain(error);
    } finally {
      button.textContent = before;
      button.disabled = false;
    }
    await load();
  }

  async function approve(button, proposal) {
    const sure = await confirmation({
      title: 'Approve this purge?',
      paragraphs: [planText(proposal.plan),
        'First an encrypted archive of them is written and checked. Then they are deleted from this server for good. The proofs of all other records stay, and the log says who agreed to this.'],
      confirm: 'Archive and delete', keep: 'Keep the records',
    });
    if (!sure) return;
    await decide(button, 'retention/approve', { through: proposal.through }, (answer) =>
      `${plural(answer.removed ?? 0, 'record')} removed. The archive is ${answer.archive}.${answer.more ? ' More of this proposal is left: approve it again.' : ''}`, { patienceMs: kArchivePatienceMs });
  }

  function proposalPart(answer) {
    const { proposal } = answer;
    const mine = proposal.by === answer.session.account;
    const withdraw = el('button', { type: 'button', class: 'secondary' }, 'Withdraw');
    withdraw.addEventListener('click', () => decide(withdraw, 'retention/withdraw', {}, () => 'The proposal is withdrawn.'));
    const usable = !proposal.expired && proposal.plan && !answer.noArchive;
    const yes = usable && !mine && el('button', { type: 'button', class: 'danger' }, 'Approve…');
    if (yes) yes.addEventListener('click', () => approve(yes, proposal));
    const wait = proposal.expired ? 'It was not approved in time.'
      : mine ? `Another administrator has to approve it here until ${timestamp(proposal.endsAt)}.`
        : `It can be approved until ${timestamp(proposal.endsAt)}.`;
    return [el('p', { class: 'note warn' }, `${mine ? 'You' : proposal.by} proposed a purge on ${timestamp(proposal.at)}. ${wait}`),
      proposal.plan && el('p', {}, planText(proposal.plan)), el('div', { class: 'actions start' }, yes, withdraw)];
  }

  function ideaPart(answer) {
    if (!answer.plan) return [el('p', { class: 'quiet' }, 'Nothing is old enough to go. Records go by whole blocks of 256.')];
    const propose = el('button', { type: 'button', class: 'secondary', disabled: Boolean(answer.noArchive) || answer.accounts < 2 }, 'Propose a purge');
    propose.addEventListener('click', () => decide(propose, 'retention/propose', {}, () => 'The purge is proposed. Another administrator has to approve it.'));
    const alone = answer.accounts < 2 && el('p', { class: 'note warn' }, 'A purge needs two persons, and there is one account. ',
      el('a', { href: '#people' }, 'Invite another administrator'), '.');
    return [el('p', {}, planText(answer.plan)), alone, el('div', { class: 'actions start' }, propose)];
  }

  async function load() {
    try {
      const answer = await get('retention');
      policy.textContent = `Audit records are kept for ${plural(answer.keepYears, 'year')} at least. Older ones may be purged: proposed by one administrator, approved by another.`;
      const archive = answer.noArchive && (answer.plan || answer.proposal) && el('p', { class: 'note warn' }, answer.noArchive);
      state.replaceChildren(...[archive, answer.proposal ? proposalPart(answer) : ideaPart(answer)].flat().filter(Boolean));
      holds.show(answer.holds);
      never.hidden = answer.purges.length > 0;
      purges.replaceChildren(...answer.purges.toReversed().map(purgeRow));
    } catch (error) {
      complain(error);
    }
  }

  const node = el('div', { class: 'screen-body' },
    el('div', { class: 'screen-head' }, el('h1', { tabindex: '-1' }, 'Retention')), policy, problem, done,
    el('section', { class: 'card stack', 'aria-label': 'Purge' }, el('h2', {}, 'What could go'), state),
    holds.node,
    el('section', { class: 'card stack', 'aria-label': 'Purges so far' }, el('h2', {}, 'Purges so far'), never, purges));
  const enter = () => { problem.hidden = true; done.hidden = true; return load(); };
  return { node, enter, leave: () => {} };
}
