// The daemon itself.
import {
  html,
  nothing,
  icon,
  ask,
  block,
  facts,
  fault,
  field,
  problems,
  saveFile,
  secret,
  state,
  unit,
  userName,
} from '../ui.js';
import {S, clockTone, owner, redraw, say} from '../state.js';
import {exactText, plural, safe, span} from '../text.js';
import {extra, forgetExtra, op, post} from '../api.js';

const view = {password: false, error: '', file: null, report: ''};

async function wholeReport() {
  const {parts, error} = await op('report', {});
  if (error) return say(error);
  view.report = parts.map((p) => `== ${p.title} ==\n${p.text}`).join('\n');
  redraw();
}

/** No keys, names, EUIs or payloads are in it. */
function report() {
  const s = S.status;
  const on = S.gateways.filter((g) => g.connected).length;
  return [
    `lorawand ${s.version}${s.commit ? ` (${s.commit})` : ''} ${s.target}, ${s.go}`,
    `uptime ${span(Date.now() - S.startedAt)}, clock ${s.clock}, store ${s.storeError ? 'not written' : 'good'}`,
    `${S.devices.length} devices, ${on}/${S.gateways.length} gateways, ${S.clients.length} MQTT clients`,
    `problems: ${S.problems.map((p) => p.code).join(', ') || 'none'}`,
  ].join('\n');
}

function machine() {
  const s = S.status;
  return html`<section class="card">
    <h2>This gateway</h2>
    ${facts([
      ['Version', html`${safe(s.version)} <span class="muted">${s.commit ? `(${safe(s.commit)})` : nothing}</span>`],
      ['Machine', safe(s.target)],
      ['Running for', span(Date.now() - S.startedAt)],
      ['Clock', state(clockTone(s.clock), safe(s.clockText))],
      s.rssMB && ['Memory', html`${unit(s.rssMB, 'MB', 1)} <span class="muted">of the daemon</span>`],
    ])}
  </section>`;
}

function store() {
  const s = S.status;
  return html`<section class="card">
    <h2>Store and flash</h2>
    ${facts([
      [
        'State',
        s.storeError ? state('bad', `cannot be written: ${safe(s.storeError)}`) : state('ok', 'can be written'),
      ],
      ['Folder', html`<code>${safe(s.store)}</code>`],
      s.freeMB != null && ['Free', unit(s.freeMB, 'MB', 1)],
      [
        'Written',
        html`${unit(s.flashWritten / 1e6, 'MB', 1)} <span class="muted">since the start, in whole pages</span>`,
      ],
      s.flashYears != null && [
        'Flash lasts',
        html`${unit(s.flashYears, 'years')} <span class="muted">at this rate</span>`,
      ],
      ['Written every', safe(s.commit_interval)],
    ])}
  </section>`;
}

async function backup() {
  const password = await secret('A backup has all keys in it.');
  if (!password) return;
  const {text, error} = await post('backup', {password});
  if (error) return say(error);
  saveFile('lorawand-backup.txt', text, 'text/plain');
  say('Backup saved.');
}

async function restore() {
  const password = await secret('A restore replaces everything here.');
  if (!password) return;
  const {error} = await post('restore', view.file, {'X-Lorawand-Password': encodeURIComponent(password)});
  say(error ?? 'Restored. The daemon starts anew; log in again.');
}

const askRestore = () => {
  view.file = null;
  const chosen = (e) => {
    [view.file] = e.target.files;
  };
  ask({
    title: 'Replace everything by a backup?',
    text: html`<p>
        ${plural(S.devices.length, 'device')}, ${plural(S.keys.length, 'key')} and all queues here go, and those of the
        file come. Take a backup of what is here first.
      </p>
      <p><input type="file" aria-label="Backup file" @change=${chosen} /></p>`,
    yes: 'Restore',
    danger: true,
    done: () => (view.file ? restore() : say('No file was chosen: nothing is changed.')),
  });
};

function row(title, text, button) {
  return html`<li>
    <span class="grow"><b>${title}</b><br /><span class="small muted">${text}</span></span
    >${button}
  </li>`;
}

function keeping() {
  if (!owner()) return nothing;
  return html`<section class="card">
    <h2>Backup</h2>
    <ul class="rows">
      ${row(
        'Take a backup',
        html`Everything in one text file, <b>with all keys</b>: keep it as safe as a password.`,
        html`<button type="button" class="btn" @click=${backup}>${icon('down')}Save backup</button>`,
      )}
      ${row(
        'Restore',
        'Replaces everything here. Frame counters skip ahead, so that none is used twice.',
        html`<button type="button" class="btn danger" @click=${askRestore}>${icon('up')}Restore…</button>`,
      )}
    </ul>
  </section>`;
}

async function changePassword(e) {
  e.preventDefault();
  const {old, password} = e.target.elements;
  const {error} = await post('op/page.password', {old: old.value, password: password.value});
  view.error = error ?? '';
  if (!error) {
    view.password = false;
    say('The password is changed: log in with it.');
    location.reload();
  }
  redraw();
}

function passwordForm() {
  return html`<form class="form" @submit=${changePassword}>
    ${userName}
    ${field('Password of now', html`<input type="password" name="old" autocomplete="current-password" required />`)}
    ${field(
      'New password',
      html`<input type="password" name="password" autocomplete="new-password" minlength="8" required />`,
      'At least 8 characters. All browsers have to log in again.',
    )}
    ${fault(view.error)}
    <p class="acts"><button class="btn primary">Change</button></p>
  </form>`;
}

async function logoutAll() {
  await post('logout', {all: true});
  location.reload();
}

function page() {
  const s = extra('session');
  const open = () => {
    view.password = !view.password;
    redraw();
  };
  const sessions = s?.sessions ? `${plural(s.sessions, 'session')}; this one is from ${safe(s.address)}.` : '';
  return html`<section class="card">
    <h2>This page</h2>
    <ul class="rows">
      ${
        owner()
          ? row(
              'Password',
              sessions,
              html`<button type="button" class="btn" aria-expanded=${view.password ? 'true' : 'false'} @click=${open}>
                Change
              </button>`,
            )
          : nothing
      }
      ${view.password && owner() ? html`<li>${passwordForm()}</li>` : nothing}
      ${row(
        'Log out everywhere',
        `Ends all sessions of this ${owner() ? 'page; MQTT keys stay' : 'API key on this page; the key stays'}.`,
        html`<button type="button" class="btn" @click=${logoutAll}>Log out all</button>`,
      )}
    </ul>
  </section>`;
}

function log() {
  const lines = extra('log')?.log ?? [];
  const again = () => {
    forgetExtra('log');
    redraw();
  };
  const line = ([level, text, at]) =>
    html`<div class="ll ${level.toLowerCase()}">
      <span class="lt">${exactText(at + S.startedAt)}</span><span class="lv">${level}</span
      ><span class="lx">${safe(text)}</span>
    </div>`;
  return html`<section class="card">
    <div class="ch">
      <h2>Log</h2>
      <span class="small muted"
        >the last ${plural(lines.length, 'line')}
        <button type="button" class="btn quiet" @click=${again}>Fetch anew</button></span
      >
    </div>
    <div class="log" tabindex="0" role="log" aria-label="Log">${lines.length ? lines.map(line) : 'Nothing yet.'}</div>
  </section>`;
}

export function system() {
  return html`<h1 tabindex="-1">System</h1>
    ${problems(S.problems.filter((p) => /store|clock|port|disk|flash/.test(p.code)))}
    <div class="two even">${machine()}${store()}${keeping()}${page()}</div>
    ${owner() ? log() : nothing}
    <section class="card">
      <h2>For a bug report</h2>
      <p class="small muted">
        Copy this, and say what you did, what you expected and what came.
        ${
          view.report
            ? 'It has no keys; EUIs are cut short.'
            : html`It has no keys, names or EUIs.
                ${
                  owner()
                    ? html`<button type="button" class="btn quiet" @click=${wholeReport}>Add events and log</button>`
                    : nothing
                }`
        }
      </p>
      ${block(view.report || report(), 'Bug report')}
    </section>`;
}
