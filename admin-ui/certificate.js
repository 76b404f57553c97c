// The server's certificate: what the Relay screen says of it, and the warning on every screen when somebody
// has to act, because browsers turn visitors away from a page whose certificate has ended.

import { el } from './dom.js';
import { plural, timestamp } from './format.js';

const kDay = 86_400;  // seconds
const kRenewalIsLate = 14 * kDay;  // certbot renews 30 days before the end

/** @returns {string} e.g. "good until 3 May 2027, 10:00 (89 days)" */
export function goodUntil({ expires, secondsLeft }) {
  if (secondsLeft <= 0) return `expired on ${timestamp(expires)}`;
  return `good until ${timestamp(expires)} (${plural(Math.floor(secondsLeft / kDay), 'day')})`;
}

function warning({ expires, secondsLeft, problem }) {
  const tell = 'Please tell whoever looks after this server';
  if (secondsLeft <= 0) return `The certificate has expired: browsers warn every visitor. ${tell}${problem && `: ${problem}`}.`;
  if (problem) return `The new certificate cannot be used, so visitors still get the old one, ${goodUntil({ expires, secondsLeft })}. ${tell}: ${problem}.`;
  if (secondsLeft < kRenewalIsLate) return `The certificate ends soon and was not renewed: it is ${goodUntil({ expires, secondsLeft })}. ${tell}.`;
  return '';
}

export class CertificateAlarm {
  constructor() {
    this.node = el('p', { class: 'note warn', role: 'alert', hidden: true });
  }

  hear(certificate) {
    const text = warning(certificate);
    this.node.hidden = !text;
    if (this.node.textContent !== text) this.node.textContent = text;  // said once by screen readers
  }
}
