// What this browser remembers of the audit log from visit to visit: its size and root hash. At the next visit
// the server has to prove that the log of then is the beginning of the log of now, which it cannot when somebody
// has changed a record, cut off the end or put an old copy of the database back.

import { get } from './api.js';
import { confirmation } from './dialog.js';
import { el } from './dom.js';
import { count, plural, timestamp } from './format.js';
import { fromBase64, onlyGrew } from './consistency.js';

const kKey = 'bedside-audit-seal';

function remembered() {
  try {
    const seen = JSON.parse(localStorage.getItem(kKey));
    return seen && Number.isSafeInteger(seen.size) && seen.size > 0 && typeof seen.origin === 'string'
      && typeof seen.root === 'string' && Number.isFinite(seen.at) ? seen : null;
  } catch {
    return null;
  }
}

function remember({ origin, size, root }) {
  try {
    localStorage.setItem(kKey, JSON.stringify({ origin, size, root, at: Date.now() }));
    return true;
  } catch {
    return false;  // a private window, or storage is switched off
  }
}

// null: it is the log of then, grown. Otherwise what is wrong.
async function contradiction(seen, now) {
  if (!now.origin) return 'The log that is shown has no seal.';
  if (now.origin !== seen.origin) return 'This is another log, begun anew.';
  if (now.size < seen.size) return `The log has ${count(now.size)} records now: its end was cut off, or an old copy of the database was put back.`;
  const proof = now.proof?.map(fromBase64) ?? [];
  const held = now.oldRoot === seen.root
    && await onlyGrew({ oldSize: seen.size, oldRoot: fromBase64(seen.root), size: now.size, root: fromBase64(now.root), proof });
  return held ? null : 'At least one of the records of then is not the same now.';
}

const placeText = ({ records, keptAt, problem }) => {
  const kept = keptAt ? `${plural(records, 'record')} on ${timestamp(keptAt)}` : 'nothing yet';
  return problem ? `${kept}. Not up to date: ${problem}` : kept;
};

function anchorList(anchors) {
  if (anchors.length === 0) {
    return el('p', { class: 'quiet' }, 'The server keeps no checkpoint outside of its own disk. The configuration’s [audit] section can name a file, a webhook or witnesses.');
  }
  return el('dl', {}, anchors.map((anchor) => [el('dt', {}, anchor.place), el('dd', {}, placeText(anchor))]));
}

export class SealNote {
  constructor() {
    this.line = el('div', { class: 'stack' });
    this.detail = el('div', {});
    this.node = el('section', { class: 'note', 'aria-label': 'Seal of the log', hidden: true }, this.line,
      el('details', {}, el('summary', {}, 'Where checkpoints are kept'), this.detail));
  }

  async load() {
    const seen = remembered();
    let now;
    try {
      now = await get(`audit/checkpoint?size=${seen?.size ?? 0}`);
    } catch (error) {
      if (error.kind === undefined) throw error;
      this.show('warn', `Whether the log only grew could not be checked. ${error.message}`, []);
      return;
    }
    await this.judge(seen, now);
  }

  async judge(seen, now) {
    if (!globalThis.crypto?.subtle) {
      this.show('warn', 'Whether the log only grew cannot be checked here: the browser allows it on https pages only.', now.anchors);
      return;
    }
    const torn = now.anchors.find((anchor) => anchor.contradiction);
    const wrong = seen && await contradiction(seen, now);
    if (wrong) {
      this.alarm(`The audit log is not the one this browser saw on ${timestamp(seen.at)}, with ${count(seen.size)} records. ${wrong}`, now);
    } else if (torn) {
      this.alarm(`The audit log contradicts what was kept elsewhere (${torn.place}): ${torn.problem}.`, now);
    } else if (!now.origin) {
      this.show('warn', 'This log has no seal.', now.anchors);
    } else if (!remember(now)) {
      this.show('warn', 'This browser cannot remember the log’s seal, so it cannot tell at the next visit whether the log only grew.', now.anchors);
    } else if (seen) {
      this.show('ok', `The log only grew: all ${plural(seen.size, 'record')} that this browser knew on ${timestamp(seen.at)} are unchanged. It has ${count(now.size)} now.`, now.anchors);
    } else {
      this.show('', `This browser remembers the log’s seal from now on (${plural(now.size, 'record')}). At the next visit it checks that the log only grew.`, now.anchors);
    }
  }

  show(kind, text, anchors) {
    this.node.className = `note ${kind}`.trim();
    this.node.removeAttribute('role');
    this.line.replaceChildren(el('p', {}, text));
    this.detail.replaceChildren(anchorList(anchors));
    this.node.hidden = false;
  }

  alarm(text, now) {
    this.show('bad', text, now.anchors);
    this.node.setAttribute('role', 'alert');
    const anew = el('button', { type: 'button', class: 'secondary', onclick: () => this.startAnew(now) }, 'Remember this log instead…');
    this.line.replaceChildren(el('p', {}, el('strong', {}, text)),
      el('p', {}, 'If nobody restored a backup: keep a copy of the server’s database as it is, and let ', el('code', {}, 'bedside audit verify'), ' tell what was changed.'),
      anew);
  }

  async startAnew(now) {
    const agreed = await confirmation({
      title: 'Remember this log instead?',
      paragraphs: ['This browser will forget what it knew of the log, and take the present one as unchanged.', 'Do this only when you know why it differs, for example because a backup was restored.'],
      confirm: 'Remember this log', keep: 'Keep the alarm',
    });
    if (!agreed || !remember(now)) return;
    await this.load();
  }
}
