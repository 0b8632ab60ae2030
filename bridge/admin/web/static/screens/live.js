// Everything that is heard and decided, newest first.
import {
  html,
  nothing,
  icon,
  addDeviceHref,
  addGatewayHref,
  when,
  name,
  bars,
  block,
  emptyBox,
  repeat,
  chip,
  devHref,
  hex,
  unit,
} from '../ui.js';
import {S, deviceOf, gatewayName, owner, pause, redraw} from '../state.js';
import {agoText, num, plural, safe} from '../text.js';
import {valuesOf} from '../values.js';
import {showNeighbours} from '../api.js';
import {marginOf} from '../model.js';
import {value} from './overview.js';

const KINDS = [
  ['up', 'Data'],
  ['join', 'Joins'],
  ['down', 'Downlinks'],
  ['gw', 'Gateways'],
  ['mqtt', 'Logins'],
  ['drop', 'Neighbours'],
];
const OF_HOST = new Set(['gw', 'drop']); // with an API key none of them come
const ROWS = 80;

const view = {on: new Set(['up', 'join', 'down', 'gw', 'mqtt']), text: '', bad: false, open: null, shown: null};

const uplinkValues = (u) =>
  valuesOf(u)
    .filter((v) => !/^battery/.test(v.key))
    .slice(0, 2);

function eventText(e) {
  if (!e.up) return html`${safe(e.text)}`;
  const values = uplinkValues(e.up);
  if (!values.length) return hex(e.up.payload || 'no payload');
  return html`<span class="vals"
    >${values.map((v) => html`<span><span class="k">${safe(v.label)}</span> ${value(v)}</span>`)}</span
  >`;
}

function who(e) {
  if (e.dev) return html`<a href=${devHref(e)}>${safe(e.dev)}</a>`;
  const id = e.devEUI ?? e.gwEUI ?? e.from;
  return id ? html`<span class="mono">${safe(id)}</span>` : html`<span class="muted">–</span>`;
}

/** An event in the short list of the overview. */
export function eventLine(e) {
  const head = e.dev ? html`<a href=${devHref(e)}>${safe(e.dev)}</a>` : e.word;
  const word = e.dev && !e.up ? `${e.word.toLowerCase()}: ` : '';
  return html`<li class=${e.tone}>
    ${icon(e.up ? 'up' : e.tone, e.tone)}<span class="grow"><b>${head}</b> ${word}${eventText(e)}</span>${when(e.at)}
  </li>`;
}

function addLink(e) {
  const [href, label] =
    e.add === 'device' ? [addDeviceHref(e), 'Add device'] : [addGatewayHref(e.gwEUI), 'Add gateway'];
  return html`<a class="btn" href=${href}>${icon('plus')}${label}</a>`;
}

function heardBy(e) {
  if (e.add) return addLink(e);
  const others = (e.up?.heard.length ?? 0) - 1;
  return html`${e.gw ? name(gatewayName(e.gw)) : nothing}${others > 0 ? ` +${others}` : nothing}`;
}

function details(e) {
  const u = e.up;
  const heard = (h) => `${safe(gatewayName(h.gateway))} (${num(h.rssi)} dBm, ${num(h.snr, 1)} dB)`;
  return html`<div class="ed">
    ${
      u
        ? html`<p class="small">
            Payload ${hex(u.payload || 'none')} on port ${u.port ?? 'none'}; ${num(u.freq, 1)} MHz, ${safe(u.rate)};
            heard by ${u.heard.map(heard).join(', ')}.
          </p>`
        : nothing
    }
    ${block(JSON.stringify(e.raw, null, 2), 'Raw JSON')}
  </div>`;
}

function numbers(u) {
  return html`<span class="num fc"><span class="u">f_cnt </span>${num(u.fcnt)}</span
    ><span class="num sf">${u.sf ? `SF${u.sf}` : 'FSK'}</span>
    <span class="num rs"><span class="sig">${bars(marginOf(u))}${unit(u.rssi, 'dBm')}</span></span>`;
}

function what(e) {
  const often =
    e.times > 1
      ? html` <span class="tag" title="The same ${e.times} times since ${agoText(e.first)}"
          >${num(e.times)} times</span
        >`
      : nothing;
  return html`${eventText(e)}${often}${e.todo ? html` <span class="todo">${safe(e.todo)}</span>` : nothing}`;
}

function toggle(e) {
  const open = view.open === e.id;
  view.open = open ? null : e.id;
  if (!open && !pause.on) setPause(true);
  redraw();
}

function row(e) {
  const open = view.open === e.id;
  const shape = e.up ? 'up' : e.kind === 'down' && e.tone === 'ok' ? 'down' : e.tone;
  return html`<li class="ev ${e.tone} ${open ? 'open' : ''}">
    <div class="er">
      <button
        type="button"
        class="exp"
        aria-expanded=${open ? 'true' : 'false'}
        aria-label="Details of ${e.word} ${safe(e.dev)}"
        @click=${() => toggle(e)}
      >
        ${icon('chevron')}
      </button>
      <span class="t">${when(e.at)}</span>
      <span class="kind"
        ><span class="st ${e.tone}">${icon(shape)}<span>${e.word}</span></span></span
      >
      <span class="who">${who(e)}</span>
      <span class="what ${e.up ? '' : 'long'}">${what(e)}</span>
      ${e.up ? numbers(e.up) : nothing}
      <span class="gw">${heardBy(e)}</span>
    </div>
    ${open ? details(e) : nothing}
  </li>`;
}

function setPause(on) {
  pause.on = on;
  pause.held = 0;
  view.shown = on ? S.events.slice() : null;
  redraw();
}

const sameAs = (e) => {
  if (e.up || e.kind === 'down') return e.id;
  return [e.word, e.dev, e.devEUI, e.gwEUI, e.kind === 'drop' ? '' : e.text].join('|');
};

/** What is refused again and again is one row, with its newest time and how often. */
export function fold(list) {
  const seen = new Map();
  for (const e of list) {
    const key = sameAs(e);
    const s = seen.get(key);
    if (s) {
      s.times++;
      s.first = e.at;
    } else {
      seen.set(key, {...e, times: 1, first: e.at});
    }
  }
  return [...seen.values()];
}

function fits(e) {
  if (!view.on.has(e.kind) || (view.bad && e.tone !== 'warn' && e.tone !== 'bad')) return false;
  const q = view.text.toLowerCase();
  if (!q) return true;
  return [e.app, e.dev, e.word, e.text, e.devEUI, e.gwEUI, e.gw, e.from, deviceOf(e)?.name]
    .join(' ')
    .toLowerCase()
    .includes(q);
}

function flip(kind) {
  view.on[view.on.has(kind) ? 'delete' : 'add'](kind);
  if (kind === 'drop') showNeighbours(view.on.has(kind));
  redraw();
}

function showAll() {
  Object.assign(view, {text: '', bad: false, on: new Set(KINDS.map((k) => k[0]))});
  showNeighbours(true);
  redraw();
}

function filters() {
  const typed = (e) => {
    view.text = e.target.value;
    redraw();
  };
  const onlyBad = () => {
    view.bad = !view.bad;
    redraw();
  };
  return html`<div class="filters">
    <label class="vh" for="live-filter">Filter</label>
    <input
      id="live-filter"
      type="search"
      placeholder="Filter: device, EUI, gateway, word"
      autocomplete="off"
      .value=${view.text}
      @input=${typed}
    />
    <div class="chips" role="group" aria-label="Kinds">
      ${KINDS.filter(([k]) => owner() || !OF_HOST.has(k)).map(([k, w]) => chip(view.on.has(k), () => flip(k), w))}
      ${chip(view.bad, onlyBad, html`${icon('warn')}Only problems`)}
    </div>
  </div>`;
}

function pauseButton() {
  const label = pause.on ? `Go on${pause.held ? ` (${num(pause.held)} new)` : ''}` : 'Pause';
  return html`<button
    type="button"
    class="btn ${pause.on ? 'primary' : ''}"
    aria-pressed=${pause.on ? 'true' : 'false'}
    @click=${() => setPause(!pause.on)}
  >
    ${icon(pause.on ? 'play' : 'pause')}${label}
  </button>`;
}

function nothingHere(any) {
  if (!any) return emptyBox('Nothing heard yet', 'Frames appear here by themselves as soon as a gateway hears one.');
  return emptyBox(
    'Nothing fits the filter',
    'Take a kind back in, or clear the text.',
    html`<button type="button" class="btn" @click=${showAll}>Show everything</button>`,
  );
}

export function live() {
  const source = view.shown ?? S.events;
  const rows = fold(source.filter(fits)).slice(0, ROWS);
  return html`<div class="head">
      <h1 tabindex="-1">Live</h1>
      <div class="acts">${pauseButton()}</div>
    </div>
    ${filters()}
    ${
      rows.length
        ? html`<ul class="events" aria-label="Events, newest first">
              ${repeat(rows, (e) => e.id, row)}
            </ul>
            <p class="small muted end">
              ${plural(rows.length, 'row')} of ${plural(source.length, 'event')}. All of them:
              <code>lorawand events -f</code>
            </p>`
        : nothingHere(source.length)
    }`;
}
