// What the types, outcomes and fields of audit records mean, in plain words. A type this page does not
// know yet is shown as it is: nothing is ever left out of the list.

const kEvents = {
  'service.start': 'Server started',
  'service.stop': 'Server stopped',
  'service.upgrade': 'Another version was started',
  'time.step': 'Clock was set',
  'time.unsynced': 'Clock kept right no more, or again',
  'config.changed': 'Configuration changed',
  'key.rotated': 'New encryption key for personal values',
  'key.given_up': 'Lost encryption keys given up',
  'cert.renewed': 'Certificate renewed',
  'epoch.rotated': 'New key that seals the log',
  'room.created': 'Room created',
  'room.ended': 'Visit ended',
  'room.expired': 'Room removed after its time',
  'link.opened': 'Visit link used',
  'room.join': 'Somebody joined a room',
  'room.knock': 'Waits to be let in',
  'room.admit': 'Let in by a host',
  'room.deny': 'Not let in by a host',
  'room.kick': 'Removed by a host',
  'room.emergency_opened': 'Opened as an emergency',
  'room.locked': 'Visit locked or unlocked',
  'link.issued': 'Link made',
  'link.dropped': 'Oldest link made void',
  'token.created': 'API token made',
  'token.revoked': 'API token revoked',
  'token.used_denied': 'API tokens refused',
  'witness.cosigned': 'Seal witnessed',
  'witness.refused': 'Seal contradicts a witness',
  'room.attach': 'Connected to the visit',
  'room.leave': 'Left the visit',
  'media.path': 'Connection direct or through the relay (as the browser says)',
  'media.screen_share': 'Screen shown or no more (as the browser says)',
  'media.recording_claimed': 'Recording claimed or no more (as the browser says)',
  'cred.issued': 'Relay access issued',
  'alloc.open': 'Relay connection opened',
  'alloc.close': 'Relay connection closed',
  'turn.peer_denied': 'Relay refused a destination',
  'relay.draining': 'Relay takes no new connections, or takes them again',
  'auth.login': 'Login',
  'auth.logout': 'Logout',
  'auth.timeout': 'Session ended by itself',
  'auth.session_revoked': 'Session ended with its account',
  'auth.password_set': 'Password set',
  'user.created': 'Account created',
  'user.invited': 'Person invited',
  'user.disabled': 'Account disabled',
  'audit.viewed': 'Audit log viewed',
  'audit.verified': 'Audit log checked',
  'audit.exported': 'Audit log exported',
  'audit.hold_set': 'Hold set',
  'audit.hold_cleared': 'Hold cleared',
  'audit.purge_proposed': 'Purge proposed',
  'audit.purge_withdrawn': 'Purge withdrawn',
  'audit.purged': 'Old records purged',
  'backup.verified': 'Backup made and proven',
  'backup.failed': 'Backup failed',
  'log.restored': 'Log restored from a backup',
  'storage.low': 'Disk nearly full',
  'storage.full': 'Disk full',
  'storage.recovered': 'Storage works again',
  'abuse.malformed': 'Malformed requests',
  'abuse.rate_limited': 'Too many requests',
  'abuse.wrong_token': 'Wrong access tokens',
  'abuse.origin_rejected': 'Requests from a foreign page',
  'abuse.csrf_rejected': 'Forged requests to the admin page',
  'abuse.login_throttled': 'Logins slowed down',
  'abuse.login_denied': 'Failed logins, counted',
  'abuse.turn_auth': 'Relay logins refused',
  'abuse.turn_quota': 'Relay limits reached',
};

const kGroups = [
  ['room.', 'Rooms and visits'],
  ['link.', 'Links'],
  ['token.', 'API tokens'],
  ['auth.', 'Logins and passwords'],
  ['user.', 'Accounts'],
  ['audit.', 'Audit log'],
  ['cred.', 'Relay access'],
  ['alloc.', 'Relay connections'],
  ['turn.', 'Relay refusals'],
  ['abuse.', 'Suspicious requests'],
  ['service.', 'Server'],
  ['storage.', 'Storage'],
  ['time.', 'Clock'],
];

export function eventName(type) {
  if (kEvents[type]) return kEvents[type];
  const words = type.replace(/[._]/g, ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}

// The options of the type filter: every group as a whole, and the types in it that are known or occur.
export function typeOptions(occurring) {
  const types = [...new Set([...Object.keys(kEvents), ...occurring])];
  const options = [{ value: '', text: 'All events' }];
  const grouped = new Set();
  for (const [prefix, text] of kGroups) {
    const members = types.filter((type) => type.startsWith(prefix));
    members.forEach((type) => grouped.add(type));
    const each = members.map((type) => ({ value: type, text: eventName(type) }));
    const all = { value: prefix, text: `${text}: all` };
    options.push({ text, group: [all, ...each] });
  }
  const rest = types.filter((type) => !grouped.has(type));
  if (rest.length) options.push({ text: 'Other', group: rest.map((type) => ({ value: type, text: eventName(type) })) });
  return options;
}

export const kOutcomes = {
  ok: { text: 'Done', sign: '✓', tone: 'ok', meaning: 'it happened' },
  denied: { text: 'Refused', sign: '⊘', tone: 'warn', meaning: 'it was not allowed' },
  failed: { text: 'Failed', sign: '✕', tone: 'bad', meaning: 'it was tried and did not work' },
  aborted: { text: 'Broken off', sign: '–', tone: '', meaning: 'it was not finished' },
};

const kFields = {
  seq: 'Record number',
  type: 'Type',
  outcome: 'Outcome',
  reason: 'Reason code',
  'actor.kind': 'Kind of person',
  'actor.id': 'Who',
  'actor.role': 'Role',
  'actor.auth': 'Identified by',
  session: 'Session',
  'where.listener': 'Listener',
  'where.ip_class': 'Kind of network',
  'where.ip_prefix': 'Network (shortened)',
  'where.ip': 'Seal of the full address',
  room: 'Room (pseudonym)',
  object: 'About',
  purpose: 'Purpose',
  request_id: 'Request number',
  build: 'Server version',
  boot_id: 'Machine start',
  t_boot_us: 'Microseconds since the machine started',
  t_wall_us: 'Time in microseconds (UTC)',
  late: 'Written late, storage was full',
  v: 'Form of the record',
  'detail.display': 'Seal of the display name',
  'detail.patient_ref': 'Seal of the appointment number',
  'detail.reference': 'Seal of the reference',
  'detail.filter': 'Filters',
  'detail.rows': 'Records shown',
  'detail.attended_s': 'Seconds in the visit',
  'detail.lifetime_s': 'Granted for (seconds)',
  'detail.bytes_to_peer': 'Bytes carried out of the browser',
  'detail.bytes_to_client': 'Bytes carried into the browser',
  'detail.window_s': 'Counted over (seconds)',
};

export function fieldName(path) {
  if (kFields[path]) return kFields[path];
  const last = path.replace(/^detail\./, '').replace(/[._]/g, ' ');
  return last.charAt(0).toUpperCase() + last.slice(1);
}

// "staff:anna" is the account anna; participants have no names in the log.
export function actorText(actor) {
  if (!actor) return { text: '–' };
  const split = actor.indexOf(':');
  const kind = split < 0 ? actor : actor.slice(0, split);
  const id = split < 0 ? '' : actor.slice(split + 1);
  const kinds = { staff: 'Staff', participant: 'Participant', client: 'Visitor', service: 'The server',
    'api-token': 'Program', operator: 'The operator' };
  const name = kinds[kind] ?? kind;
  return { text: id ? `${name} ` : name, id };
}
