// The data of a device: its last values, two charts and its last frames.
import '../chart.js';
import {
  html,
  nothing,
  icon,
  when,
  name,
  devHref,
  formatterHref,
  eui,
  block,
  bars,
  hex,
  margin,
  problems,
  repeat,
  select,
  spark,
  unit,
} from '../ui.js';
import {gatewayName, redraw} from '../state.js';
import {agoText, digitsOf, num, plural, safe} from '../text.js';
import {valueAt, valuesOf} from '../values.js';
import {value} from './overview.js';

const ROWS = 12;
const view = {chart: {}, open: null, all: null};

function refused(d) {
  return problems([
    {
      tone: 'bad',
      title: `Refused: ${d.stateText}`,
      detail: d.join ? `${plural(d.join.tries, 'join-request')}, the last ${agoText(d.join.at)}.` : '',
      todo: d.join?.hint,
      link: devHref(d, 'settings'),
      act: 'Compare the key',
    },
  ]);
}

function waits(d) {
  return html`<section class="card">
    <h2>Nothing heard of it yet</h2>
    <p>It is known here, but nothing has come from it since the daemon started. If it is switched on:</p>
    <ol class="steps">
      <li>
        Many devices join only after a press of a button, or when a magnet is moved along them. Their papers say how.
      </li>
      <li>Its region must be the gateway's (plan <b>${safe(d.plan)}</b>).</li>
      <li>
        Compare the EUIs with the sticker: DevEUI ${eui(d.devEUI)}, JoinEUI ${eui(d.joinEUI)}. If another pair stands
        under
        <a href="#/overview">Wants in</a>, it is probably this device.
      </li>
      <li>Bring it within sight of the gateway, but not closer than 2 m.</li>
    </ol>
  </section>`;
}

function tiles(values, frames) {
  const past = frames.slice(0, 30).reverse();
  const tile = (v) =>
    html`<li>
      <span class="k">${safe(v.label)}</span><span class="v">${value(v)}</span>
      ${typeof v.value === 'number' ? spark(past.map((u) => valueAt(u, v.key))) : nothing}
    </li>`;
  return html`<ul class="values">
    ${values.map(tile)}
  </ul>`;
}

function undecoded(d) {
  return html`<p class="hintbox">
    ${icon('info')}The payload is not decoded.
    <a href=${formatterHref(d)}>Add a formatter</a>; its last frames are there to try it on.
  </p>`;
}

/** Points of a series, oldest first; every point has a time, and frames without the value are left out. */
const pointsOf = (frames, read) =>
  frames
    .map((u) => [u.at, read(u)])
    .filter(([, v]) => typeof v === 'number')
    .reverse();

function valueChart(d, values, frames) {
  const numbers = values.filter((v) => typeof v.value === 'number');
  const chosen = numbers.find((v) => v.key === view.chart[d.key]) ?? numbers[0];
  if (!chosen) return nothing;
  const change = (e) => {
    view.chart[d.key] = e.target.value;
    redraw();
  };
  const points = pointsOf(frames, (u) => valueAt(u, chosen.key));
  const digits = Math.max(...points.map(([, v]) => digitsOf(v)), 0);
  const series = [{name: safe(chosen.label), unit: chosen.unit, digits, points}];
  return html`<section class="card">
    <div class="ch">
      <h2>Values</h2>
      <span class="inline"
        >${select(
          numbers.map((v) => [v.key, safe(v.label)]),
          chosen.key,
          change,
          {label: 'Value'},
        )}</span
      >
    </div>
    <lw-chart .data=${{label: safe(chosen.label), series}}></lw-chart>
  </section>`;
}

function signalChart(d, frames) {
  const series = [
    {name: 'RSSI', unit: 'dBm', digits: 0, points: pointsOf(frames, (u) => u.rssi)},
    {name: 'SNR', unit: 'dB', digits: 1, axis: 1, points: pointsOf(frames, (u) => u.snr)},
  ];
  return html`<section class="card">
    <div class="ch">
      <h2>Signal</h2>
      ${
        d.margin == null
          ? nothing
          : html`<span class="small"
              >${bars(d.margin)} ${margin(d.margin)[1]}: ${num(d.margin, 1)} dB above the limit of SF${d.last.sf}</span
            >`
      }
    </div>
    <lw-chart .data=${{label: 'Signal', series}}></lw-chart>
  </section>`;
}

/** Frames with a row where f_cnt says that some are missing. */
function withGaps(frames) {
  const out = [];
  frames.forEach((u, i) => {
    out.push(u);
    const missing = u.fcnt - (frames[i + 1]?.fcnt ?? u.fcnt) - 1;
    if (missing > 0) out.push({id: `gap-${u.id}`, missing, from: u.fcnt - missing});
  });
  return out;
}

function gap(g) {
  const text =
    g.missing === 1
      ? `1 frame lost (f_cnt ${num(g.from)})`
      : `${num(g.missing)} frames lost (f_cnt ${num(g.from)} to ${num(g.from + g.missing - 1)})`;
  return html`<tr class="gap" role="row">
    <td role="cell" colspan="11">${icon('warn')}<span>${text}</span></td>
  </tr>`;
}

function frameCells(u) {
  const values = valuesOf(u).slice(0, 3);
  const others = u.heard.length - 1;
  const decoded = values.length
    ? html`<span class="vals">${values.map(value)}</span>`
    : html`<span class="muted">not decoded</span>`;
  return html`<td role="cell" data-l="Heard" class="c-when">${when(u.at)}</td>
    <td role="cell" data-l="f_cnt" class="num">${num(u.fcnt)}</td>
    <td role="cell" data-l="Port" class="num">${u.port ?? '–'}</td>
    <td role="cell" data-l="Payload" class="c-hex">${hex(u.payload || '–')}</td>
    <td role="cell" data-l="Decoded" class="c-dec">${decoded}</td>
    <td role="cell" data-l="RSSI" class="num">${unit(u.rssi, 'dBm')}</td>
    <td role="cell" data-l="SNR" class="num">${unit(u.snr, 'dB', 1)}</td>
    <td role="cell" data-l="Rate" class="num">${u.sf ? `SF${u.sf}` : 'FSK'}</td>
    <td role="cell" data-l="MHz" class="num">${num(u.freq, 1)}</td>
    <td role="cell" data-l="Gateways" class="c-gw">
      ${u.heard[0] ? name(gatewayName(u.heard[0].gateway)) : nothing}${others > 0 ? ` +${others}` : nothing}
    </td>`;
}

function frame(u) {
  if (u.missing) return gap(u);
  const open = view.open === u.id;
  const toggle = () => {
    view.open = open ? null : u.id;
    redraw();
  };
  return html`<tr role="row" class=${u.decoded ? '' : 'raw'}>
      <td role="cell" class="c-exp">
        <button
          type="button"
          class="exp"
          aria-expanded=${open ? 'true' : 'false'}
          aria-label="Details of frame ${u.fcnt}"
          @click=${toggle}
        >
          ${icon('chevron')}
        </button>
      </td>
      ${frameCells(u)}
    </tr>
    ${
      open
        ? html`<tr class="detail" role="row">
            <td role="cell" colspan="11">${block(JSON.stringify(u.raw, null, 2), 'Raw JSON, as on MQTT')}</td>
          </tr>`
        : nothing
    }`;
}

const HEADS = ['', 'Heard', 'f_cnt', 'Port', 'Payload', 'Decoded', 'RSSI', 'SNR', 'Rate', 'MHz', 'Gateways'];
const NUMBERS = ['f_cnt', 'Port', 'RSSI', 'SNR', 'Rate', 'MHz'];

function frameTable(d, frames) {
  const head = (h) =>
    html`<th role="columnheader" scope="col" class=${NUMBERS.includes(h) ? 'num' : ''}>
      ${h || html`<span class="vh">Details</span>`}
    </th>`;
  const rows = withGaps(frames);
  return html`<table class="cards frames" role="table" aria-label="Frames, newest first">
    <thead role="rowgroup">
      <tr role="row">
        ${HEADS.map(head)}
      </tr>
    </thead>
    <tbody role="rowgroup">
      ${repeat(view.all === d.key ? rows : rows.slice(0, ROWS), (r) => r.id, frame)}
    </tbody>
  </table>`;
}

function frameCard(d, frames) {
  const bad = d.loss > 0.1;
  const showAll = () => {
    view.all = d.key;
    redraw();
  };
  const lost =
    d.loss == null ? '' : `${num(d.loss * 100)} % lost of late${bad ? ': nearer to its limit than is good' : ''}`;
  return html`<section class="card flush">
    <div class="ch pad">
      <h2>Last ${plural(frames.length, 'frame')}</h2>
      <span class="small ${bad ? 'st warn' : 'muted'}">${bad ? icon('warn') : nothing}<span>${lost}</span></span>
    </div>
    ${frameTable(d, frames)}
    ${
      view.all === d.key || frames.length <= ROWS
        ? nothing
        : html`<p class="acts pad">
            <button type="button" class="btn" @click=${showAll}>Show all ${frames.length}</button>
            <span class="small muted">More than these are not kept here; MQTT clients have had them all.</span>
          </p>`
    }
  </section>`;
}

export function data(d, {frames}) {
  if (!d.last) return d.state === 'refused' ? refused(d) : waits(d);
  const values = valuesOf(d.last);
  return html`${d.state === 'refused' ? refused(d) : nothing}${values.length ? tiles(values, frames) : undecoded(d)}
  ${
    frames.length
      ? html`<div class="two even">${valueChart(d, values, frames)}${signalChart(d, frames)}</div>
          ${frameCard(d, frames)}`
      : nothing
  }`;
}
