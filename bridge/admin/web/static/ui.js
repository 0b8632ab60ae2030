// Small parts that every screen uses. Text goes into the page by lit-html's text and attribute bindings only, so
// nothing that comes from outside can become markup.
import {html, svg, nothing} from './lib/lit-html.js';
import {repeat} from './lib/directives/repeat.js';
import {icon} from './icons.js';
import {dialog, redraw, say} from './state.js';
import {exactText, num, safe, timeText} from './text.js';
export {html, svg, nothing, repeat, icon};

export const name = (text) => html`<bdi>${safe(text)}</bdi>`;
export const unit = (v, u, digits = 0) => html`<span class="q">${num(v, digits)}<span class="u"> ${u}</span></span>`;
export const none = html`<span class="muted">–</span>`;
export const eui = (e) => html`<span class="mono eui">${safe(e).slice(0, 8)}<wbr />${safe(e).slice(8)}</span>`;
export const hex = (text) => html`<code class="hexv">${safe(text)}</code>`;

export function when(at, never = 'never') {
  if (at == null) return html`<span class="muted">${never}</span>`;
  return html`<time datetime=${new Date(at).toISOString()} title=${exactText(at, true)}>${timeText(at)}</time>`;
}

/** A state: shape, colour and word. */
export const state = (tone, word, shape = tone) =>
  html`<span class="st ${tone}">${icon(shape)}<span>${word}</span></span>`;

export const STATES = {
  alive: ['ok', 'Alive', 'ok', 'Heard within three of its usual intervals.'],
  silent: ['warn', 'Silent', 'silent', 'Not heard for more than three of its usual intervals.'],
  refused: ['bad', 'Refused', 'bad', 'Its last join-request was refused.'],
  never: ['idle', 'Never heard', 'idle', 'Nothing of it was heard since the start.'],
};

export function deviceState(d) {
  const [tone, word, shape, title] = STATES[d.state];
  return html`<span title=${title}>${state(tone, word, shape)}</span>`;
}

const LEVELS = [
  [10, 'ok', 'strong', 4],
  [5, 'ok', 'good', 3],
  [2, 'warn', 'weak', 2],
  [-Infinity, 'bad', 'at its limit', 1],
];

/** Signal by what is left above the limit of the spreading factor: RSSI alone misleads. */
export function margin(db) {
  if (db == null) return ['idle', 'no signal yet', 0];
  return LEVELS.find(([least]) => db >= least).slice(1);
}

export function bars(db) {
  const [tone, word, n] = margin(db);
  const title = db == null ? word : `${word}: ${num(db, 1)} dB above the limit`;
  const bar = (i) =>
    svg`<rect x=${i * 4 - 4} y=${12 - i * 3} width="3" height=${i * 3} class=${i <= n ? 'on' : 'off'} />`;
  return html`<svg
    class="bars ${tone}"
    viewBox="0 0 15 12"
    width="15"
    height="12"
    role="img"
    aria-label="Signal ${word}"
  >
    <title>${title}</title>
    ${[1, 2, 3, 4].map(bar)}
  </svg>`;
}

export function signal(u, db) {
  if (!u) return none;
  return html`<span class="sig"
    >${bars(db)}${unit(u.rssi, 'dBm')}<span class="snr">${unit(u.snr, 'dB', 1)}</span></span
  >`;
}

/** A share of a limit, drawn. */
export function meter(share, label) {
  const tone = share > 0.9 ? 'bad' : share > 0.7 ? 'warn' : 'ok';
  const width = share > 0 ? Math.max(1.2, Math.min(1, share) * 100) : 0;
  return html`<svg class="meter ${tone}" viewBox="0 0 100 6" preserveAspectRatio="none" role="img" aria-label=${label}>
    <rect class="bg" width="100" height="6" />
    <rect class="fg" width=${width} height="6" />
  </svg>`;
}

export function spark(values) {
  const v = values.filter((x) => typeof x === 'number');
  if (v.length < 3) return nothing;
  const lo = Math.min(...v);
  const hi = Math.max(...v);
  const y = (x) => (hi === lo ? 10 : 18 - ((x - lo) / (hi - lo)) * 16).toFixed(1);
  const points = v.map((x, i) => `${((i / (v.length - 1)) * 78 + 1).toFixed(1)},${y(x)}`).join(' ');
  return html`<svg class="spark" viewBox="0 0 80 20" preserveAspectRatio="none" aria-hidden="true">
    <polyline points=${points} />
  </svg>`;
}

/** Copies as the key does that people press: plain HTTP on a LAN has no navigator.clipboard. */
function copyPlain(button, text) {
  const area = document.createElement('textarea');
  area.className = 'vh';
  area.value = text;
  button.after(area); // within the dialog, if there is one: else it cannot have the focus
  area.select();
  const done = document.execCommand('copy');
  area.remove();
  button.focus();
  return done;
}

async function copy(button, text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    if (!copyPlain(button, text)) return say('This browser lets no page copy: mark the text and press Ctrl+C.');
  }
  button.classList.add('done');
  say('Copied.');
  setTimeout(() => button.classList.remove('done'), 1500);
}

export const copyButton = (text, label = 'Copy') =>
  html`<button
    type="button"
    class="btn quiet copy"
    title=${label}
    aria-label=${label}
    @click=${(e) => copy(e.currentTarget, text)}
  >
    ${icon('copy', 'a')}${icon('check', 'b')}
  </button>`;

export const code = (text, label) =>
  html`<span class="code"><code>${safe(text)}</code>${copyButton(text, label)}</span>`;

export const block = (text, label = 'Text to copy') =>
  html`<div class="block">
    <pre tabindex="0" role="group" aria-label=${label}>${safe(text)}</pre>
    ${copyButton(text, `Copy: ${label}`)}
  </div>`;

/** A problem, with its way out. It is an item of a list. */
export const problem = (p) =>
  html`<li class="problem ${p.tone}">
    <div class="ph">${icon(p.tone)}<b>${safe(p.title)}</b></div>
    <p>${safe(p.detail)} ${p.todo ? html`<b class="nw">What to do:</b> ${safe(p.todo)}` : nothing}</p>
    ${
      p.command || p.link
        ? html`<p class="acts">
            ${p.command ? code(p.command, 'Copy the command') : nothing}
            ${p.link?.startsWith('#/') ? html`<a class="btn" href=${p.link}>${safe(p.act)}</a>` : nothing}
          </p>`
        : nothing
    }
  </li>`;

export const problems = (list) =>
  list.length
    ? html`<ul class="problems" aria-label="Problems">
        ${list.map(problem)}
      </ul>`
    : nothing;

export const emptyBox = (title, text, act = nothing) =>
  html`<div class="empty">
    <h3>${title}</h3>
    <p>${text}</p>
    ${act}
  </div>`;

export const waiting = (text) => html`<p class="wait">${icon('idle', 'turn')}<span>${text}</span></p>`;

const sortMark = (c, sorted) => (sorted?.key === c.sort ? (sorted.down ? ' ↓' : ' ↑') : '');
const sortName = (c, sorted) => {
  if (!c.sort || sorted?.key !== c.sort) return nothing;
  return sorted.down ? 'descending' : 'ascending';
};

function headCell(c, sorted, onSort) {
  const label = c.sort
    ? html`<button type="button" class="sort" @click=${() => onSort(c.sort)}>
        ${c.label}<span aria-hidden="true">${sortMark(c, sorted)}</span>
      </button>`
    : html`<span class=${c.hide ? 'vh' : ''}>${c.label}</span>`;
  return html`<th
    role="columnheader"
    scope="col"
    class="${c.num ? 'num' : ''} ${c.cls ?? ''}"
    aria-sort=${sortName(c, sorted)}
  >
    ${label}
  </th>`;
}

/**
 * A table that becomes cards where it is narrow. cols: {label, cell, num, cls, hide, sort}; the roles are said because
 * display: grid takes them from rows in some browsers.
 */
export function table({label, cols, rows, key, row, sorted, onSort, cls = ''}) {
  const cell = (c, r) =>
    html`<td role="cell" class="${c.num ? 'num' : ''} ${c.cls ?? ''}" data-l=${c.hide ? '' : c.label}>
      ${c.cell(r)}
    </td>`;
  return html`<table class="cards ${cls}" role="table" aria-label=${label}>
    <thead role="rowgroup">
      <tr role="row">
        ${cols.map((c) => headCell(c, sorted, onSort))}
      </tr>
    </thead>
    <tbody role="rowgroup">
      ${repeat(
        rows,
        key,
        (r) =>
          html`<tr role="row" class=${row?.(r) ?? ''}>
            ${cols.map((c) => cell(c, r))}
          </tr>`,
      )}
    </tbody>
  </table>`;
}

export const field = (label, control, hint = nothing) =>
  html`<label class="field"><span class="fl">${label}</span>${control}<span class="hint">${hint}</span></label>`;

/** Keepers of passwords and screen readers want to know whose password it is. */
export const userName = html`<input type="text" name="username" value="lorawand" autocomplete="username" hidden />`;

export const fault = (text, id) =>
  text ? html`<span class="err" id=${id ?? nothing}>${icon('bad')}${safe(text)}</span>` : nothing;

export const select = (options, chosen, change, attrs = {}) =>
  html`<select
    name=${attrs.name ?? nothing}
    aria-label=${attrs.label ?? nothing}
    .value=${String(chosen)}
    @change=${change}
  >
    ${options.map(([v, text]) => html`<option value=${v} ?selected=${String(v) === String(chosen)}>${text}</option>`)}
  </select>`;

export const facts = (rows) =>
  html`<dl class="facts">
    ${rows.filter(Boolean).map(
      ([k, v]) =>
        html`<div>
          <dt>${k}</dt>
          <dd>${v}</dd>
        </div>`,
    )}
  </dl>`;

export function devHref(d, tab) {
  const parts = [d.app, d.id ?? d.dev, tab].filter(Boolean).map(encodeURIComponent);
  return `#/device/${parts.join('/')}`;
}

export function addDeviceHref({devEUI, joinEUI}) {
  return `#/add?dev_eui=${encodeURIComponent(devEUI)}&join_eui=${encodeURIComponent(joinEUI)}`;
}

export const addGatewayHref = (eui) => `#/add-gateway?eui=${encodeURIComponent(eui)}`;

export const formatterHref = (d) => `#/formatters/${encodeURIComponent(d.app)}/${encodeURIComponent(d.id)}`;

/** Asks before something is done that cannot be undone. done is called on yes. */
export function ask(content) {
  dialog.content = content;
  redraw();
  requestAnimationFrame(() => requestAnimationFrame(() => document.getElementById('dialog')?.showModal()));
}

/** Asks for the password of the login once more; '' from who thinks better of it. */
export const secret = (why) =>
  new Promise((resolve) => {
    const id = 'secret';
    const take = () => {
      const input = document.getElementById(id);
      resolve(input.value);
      input.value = '';
    };
    ask({
      title: 'Your password once more',
      text: html`<p>${why}</p>
        ${userName}
        ${field(
          'Password, or the API key of the login',
          html`<input type="password" id=${id} autocomplete="current-password" />`,
        )}`,
      yes: 'Go on',
      done: take,
      gone: () => resolve(''),
    });
  });

const cancel = (e) => e.target.closest('dialog').close('no');

function closed(e) {
  const {returnValue} = e.target;
  e.target.returnValue = '';
  if (returnValue === 'yes') dialog.content?.done();
  else dialog.content?.gone?.();
}

/** A native dialog: focus is kept in it, Esc closes it. */
export function dialogView() {
  const c = dialog.content;
  return html`<dialog id="dialog" aria-labelledby="dialog-title" @close=${closed}>
    <form method="dialog">
      ${
        c
          ? html`<h2 id="dialog-title">${c.title}</h2>
              <div>${c.text}</div>
              <p class="acts end">
                <button type="button" class="btn" @click=${cancel}>Cancel</button>
                <button class="btn ${c.danger ? 'danger' : 'primary'}" value="yes">${c.yes}</button>
              </p>`
          : nothing
      }
    </form>
  </dialog>`;
}

/** Chips: buttons that are in or out. */
export const chip = (on, toggle, label) =>
  html`<button type="button" class="chip" aria-pressed=${on ? 'true' : 'false'} @click=${toggle}>${label}</button>`;

/** A list that shows its first rows, then a button. */
export function more(all, shown, show) {
  if (shown >= all) return nothing;
  return html`<p class="acts pad"><button type="button" class="btn" @click=${show}>Show all ${num(all)}</button></p>`;
}

/** Saves a text as a file of the browser. */
export function saveFile(fileName, text, type = 'application/json') {
  const a = document.createElement('a');
  a.href = URL.createObjectURL(new Blob([text], {type}));
  a.download = fileName;
  a.click();
  setTimeout(() => URL.revokeObjectURL(a.href), 10e3);
}
