// Is everything alive? If not, what, and what to do.
import {html, svg, nothing, icon, table, when, deviceState, name, problems, state, devHref, eui} from '../ui.js';
import {addDeviceHref, addGatewayHref, bars, emptyBox, formatterHref, none, repeat, unit} from '../ui.js';
import {S, clockTone, gatewayName, owner} from '../state.js';
import {agoText, digitsOf, num, plural, safe} from '../text.js';
import {valuesOf} from '../values.js';
import {eventLine, fold} from './live.js';

const ORDER = {refused: 0, silent: 1, alive: 2, never: 3};
const SHOWN = 12;

export const lastSeen = (d) => d.last?.at ?? d.join?.at;
export const byState = (a, b) => ORDER[a.state] - ORDER[b.state] || (lastSeen(b) ?? 0) - (lastSeen(a) ?? 0);

export function value(v) {
  if (typeof v.value !== 'number') return html`<span class="q text" title=${safe(v.value)}>${safe(v.value)}</span>`;
  const digits = digitsOf(v.value);
  return v.unit ? unit(v.value, v.unit, digits) : html`<span class="q">${num(v.value, digits)}</span>`;
}

/** The last values of a device in a row of a table; brief is without their names. */
export function lastValues(d, brief) {
  if (d.state === 'refused') return html`<span class="muted">${safe(brief ? d.join?.reason : d.stateText)}</span>`;
  if (!d.last) return html`<span class="muted">Nothing heard yet</span>`;
  const all = valuesOf(d.last).filter((v) => !/^battery/.test(v.key));
  if (!all.length) return undecoded(d, brief);
  const one = (v) =>
    html`<span title=${v.label}><span class=${brief ? 'vh' : 'k'}>${safe(v.label)}</span> ${value(v)}</span>`;
  return html`<span class="vals ${brief ? '' : 'lines'}"
    >${all.slice(0, 2).map(one)}${moreValues(d, all.length - 2, brief)}</span
  >`;
}

function undecoded(d, brief) {
  const bytes = html`<code class="hexv cut">${safe(d.last.payload) || 'no payload'}</code>`;
  return html`${brief && d.last.payload ? nothing : bytes}
  ${d.last.payload ? html`<a class="small nw" href=${formatterHref(d)}>Add a formatter</a>` : nothing}`;
}

function moreValues(d, n, brief) {
  if (n <= 0 || brief) return nothing;
  return html`<a class="small muted more" href=${devHref(d)} aria-label=${plural(n, 'more value')}>+${n}</a>`;
}

function deviceTile() {
  const count = {alive: 0, silent: 0, refused: 0, never: 0};
  for (const d of S.devices) count[d.state]++;
  const total = S.devices.length || 1;
  let x = 0;
  const part = (k) => {
    const at = x;
    x += (count[k] / total) * 100;
    return svg`<rect class=${k} x=${at} width=${Math.max(0, x - at - 0.6)} height="6" />`;
  };
  return html`<a class="tile" href="#/devices">
    <span class="tl">Devices</span
    ><span class="tn">${count.alive}<span class="of"> of ${S.devices.length} alive</span></span>
    <svg class="stack" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
      ${Object.keys(count).map(part)}
    </svg>
    <span class="td">
      ${count.silent ? state('warn', `${count.silent} silent`, 'silent') : nothing}
      ${count.refused ? state('bad', `${count.refused} refused`) : nothing}
      ${count.never ? state('idle', `${count.never} never heard`) : nothing}
    </span>
  </a>`;
}

function gatewayTile() {
  const on = S.gateways.filter((g) => g.connected).length;
  const line = (g) =>
    g.connected
      ? state('ok', html`${name(g.name)}, heard ${g.lastUplink ? agoText(g.lastUplink) : 'nothing yet'}`)
      : state('bad', html`${name(g.name)}, off line`);
  return html`<a class="tile" href="#/gateways">
    <span class="tl">Gateways</span
    ><span class="tn">${on}<span class="of"> of ${S.gateways.length} connected</span></span>
    <span class="td"
      >${S.gateways.length ? S.gateways.slice(0, 3).map(line) : html`<span>None is known yet</span>`}</span
    >
  </a>`;
}

function frameTile() {
  const last = S.devices.map((d) => d.last?.at ?? 0).reduce((a, b) => Math.max(a, b), 0);
  const st = S.status;
  return html`<a class="tile" href="#/live">
    <span class="tl">Frames, last hour</span><span class="tn">${num(st.uplinksHour)}</span>
    <span class="td">
      ${st.droppedHour ? html`<span>${num(st.droppedHour)} of neighbours left out</span>` : nothing}
      <span>Last: ${last ? agoText(last) : 'none yet'}</span>
    </span>
  </a>`;
}

function clientTile() {
  const on = S.clients.filter((c) => c.connected);
  const lost = S.clients.reduce((n, c) => n + c.dropped, 0);
  const failed = S.failed.reduce((n, f) => n + f.n, 0);
  return html`<a class="tile" href="#/integrations">
    <span class="tl">MQTT clients</span><span class="tn">${on.length}<span class="of"> connected</span></span>
    <span class="td">
      ${on.length ? nothing : html`<span>Nobody listens yet</span>`}
      ${lost ? state('warn', `${plural(lost, 'message')} lost by slow clients`) : nothing}
      ${failed ? state('warn', plural(failed, 'failed login')) : nothing}
    </span>
  </a>`;
}

function storeTile() {
  const st = S.status;
  const word = st.storeError ? 'Not written' : st.clock === 'none' ? 'No clock' : 'Good';
  return html`<a class="tile" href="#/system">
    <span class="tl">Store and clock</span><span class="tn word">${word}</span>
    <span class="td">
      ${st.storeError ? state('bad', safe(st.storeError)) : state('ok', 'The store is written')}
      ${state(clockTone(st.clock), `Clock: ${st.clockText}`)}
    </span>
  </a>`;
}

function stranger(s) {
  const where = s.gateway
    ? html`; ${s.rssi == null ? '' : `${num(s.rssi)} dBm `}at ${name(gatewayName(s.gateway))}`
    : nothing;
  return html`<li>
    <span class="grow"
      ><b>Device</b> ${eui(s.devEUI)}<br /><span class="small muted">
        ${s.maker ? html`${safe(s.maker)}; ` : nothing}${plural(s.tries, 'join-request')}, last
        ${when(s.last)}${where}</span
      ></span
    >
    <a class="btn" href=${addDeviceHref(s)}>${icon('plus')}Add device</a>
  </li>`;
}

function unknownGateway(g) {
  return html`<li>
    <span class="grow"
      ><b>Gateway</b> ${eui(g.eui)}<br /><span class="small muted">
        at ${safe(g.address)}, last ${when(g.last)}, ${plural(g.frames, 'frame')} refused</span
      ></span
    >
    <a class="btn" href=${addGatewayHref(g.eui)}>${icon('plus')}Add gateway</a>
  </li>`;
}

/** What was heard but is not known here. */
function wantsIn() {
  const gateways = owner() ? S.unknownGateways.slice(0, 6) : [];
  if (!S.strangers.length && !gateways.length) return nothing;
  return html`<section class="card" id="wants-in">
    <h2>Wants in</h2>
    <p class="lead">Heard here, but not known. Add what is yours; a neighbour's can stay.</p>
    <ul class="rows">
      ${gateways.map(unknownGateway)}${S.strangers.slice(0, 6).map(stranger)}
    </ul>
  </section>`;
}

const COLS = [
  {label: 'State', cls: 'c-state', cell: deviceState},
  {
    label: 'Device',
    cls: 'c-main',
    cell: (d) =>
      html`<a class="strong" href=${devHref(d)}>${safe(d.id)}</a>
        ${d.name ? html`<span class="sub" title=${safe(d.name)}>${name(d.name)}</span>` : nothing}`,
  },
  {label: 'Last values', cls: 'c-vals', cell: (d) => lastValues(d, true)},
  {
    label: 'Signal',
    cls: 'c-sig',
    cell: (d) => (d.last ? html`<span class="sig">${bars(d.margin)}${unit(d.last.rssi, 'dBm')}</span>` : none),
  },
  {label: 'Last heard', num: true, cls: 'c-when', cell: (d) => when(lastSeen(d))},
];

export const noDevice = () =>
  emptyBox(
    'No device yet',
    'Add one with what stands on its sticker, or switch it on: its join-request then stands under "Wants in".',
    html`<p class="acts">
      <a class="btn primary" href="#/add">${icon('plus')}Add a device</a>
      <a class="btn" href="#/import">Import from The Things Stack</a>
    </p>`,
  );

function deviceCard() {
  const rows = [...S.devices].sort(byState);
  return html`<section class="card wide">
    <div class="ch">
      <h2>Devices</h2>
      ${rows.length ? html`<a href="#/devices">All ${rows.length}</a>` : nothing}
    </div>
    ${
      rows.length
        ? table({
            label: 'Devices, those with problems first',
            rows: rows.slice(0, SHOWN),
            key: (d) => d.key,
            cls: 'brief',
            cols: COLS,
          })
        : noDevice()
    }
  </section>`;
}

function justNow() {
  const list = fold(S.events.filter((e) => e.kind !== 'drop')).slice(0, 9);
  return html`<section class="card">
    <div class="ch">
      <h2>Just now</h2>
      <a href="#/live">Live</a>
    </div>
    ${
      list.length
        ? html`<ul class="feed">
            ${repeat(list, (e) => e.id, eventLine)}
          </ul>`
        : emptyBox('Silence so far', 'Nothing was heard since the start. This list fills by itself.')
    }
  </section>`;
}

/** On a phone the first problem is shown; the others are one row to open, so that the devices stay in sight. */
function allProblems() {
  const [first, ...rest] = S.problems;
  if (!first) return S.devices.length && owner() ? html`<p class="allgood">${icon('check')}No problems.</p>` : nothing;
  if (rest.length < 2 || !matchMedia('(max-width: 700px)').matches) return problems(S.problems);
  const tone = ['bad', 'warn', 'info'].find((t) => rest.some((p) => p.tone === t));
  return html`${problems([first])}
    <details class="others problem ${tone}">
      <summary>
        ${icon(tone)}<b>${plural(rest.length, 'more problem')}</b>: ${rest.map((p) => safe(p.title)).join('; ')}
      </summary>
      ${problems(rest)}
    </details>`;
}

export function overview() {
  return html`<h1 tabindex="-1">Overview</h1>
    ${allProblems()}
    <div class="tiles">${deviceTile()}${gatewayTile()}${frameTile()}${clientTile()}${storeTile()}</div>
    <div class="two">
      ${deviceCard()}
      <div class="col">${wantsIn()}${justNow()}</div>
    </div>`;
}
