// Gateways: are they connected, how much may they still send, and what the packet forwarder needs.
import {
  html,
  nothing,
  icon,
  block,
  addGatewayHref,
  emptyBox,
  eui,
  facts,
  meter,
  name,
  problems,
  state,
  table,
  unit,
  when,
} from '../ui.js';
import {S, owner, redraw} from '../state.js';
import {cleanHex, isHex, num, plural, safe} from '../text.js';
import {loadPlans, planPicker} from './plans.js';

const HOUR = 3600; // s

/** The address that this browser has of the gateway; of the daemon's own host it is the loopback. */
export const ownHost = () => location.hostname.replace(/^\[|\]$/g, '');
export const portOf = (address, fallback) => /:(\d+)$/.exec(address ?? '')?.[1] ?? fallback;

export function forwarderSettings() {
  const port = portOf(S.status.addresses?.udp, '1700');
  return `"server_address": "${ownHost()}",\n"serv_port_up": ${port},\n"serv_port_down": ${port}`;
}

const BANDS = [
  {label: 'Sub-band, MHz', cls: 'mono', cell: (b) => b[0]},
  {
    label: 'Share of what is allowed',
    cls: 'c-meter',
    cell: (b) => meter(b[1] / b[2], `${num((b[1] / b[2]) * 100)} % of what is allowed`),
  },
  {label: 'Used', num: true, cell: (b) => unit(b[1], '%', 2)},
  {label: 'Allowed', num: true, cell: (b) => unit(b[2], '%', b[2] < 1 ? 1 : 0)},
  {label: 'Left', num: true, cell: (b) => unit(((b[2] - b[1]) / 100) * HOUR, 's', 1)},
];

function airtime(g) {
  if (!g.bands.length) return html`<p class="small muted">Nothing was sent in the last hour.</p>`;
  return html`<h3>Airtime sent in the last hour</h3>
    ${table({label: `Airtime of ${safe(g.name)}`, rows: g.bands, key: (b) => b[0], cls: 'bands', cols: BANDS})}`;
}

function offLine(g) {
  const what = g.fault || (g.since == null ? 'Nothing of it has come since the start' : 'Nothing comes from it');
  return html`<p class="todo">
    <b>${safe(what)}.</b> Look at power and network of the gateway, then at server_address in its packet forwarder.
  </p>`;
}

function trip(g) {
  if (!g.connected || !g.rtt) return html`<span class="muted">–</span>`;
  return html`${unit(g.rtt, 'ms', 1)}<span class="muted">; downlinks go ${num(g.lead)} ms ahead</span>`;
}

function gateway(g) {
  const word = g.since == null ? 'Never connected' : 'Off line';
  return html`<section class="card gwc">
    <div class="ch">
      <h2>${name(g.name)}</h2>
      ${g.connected ? state('ok', 'Connected') : state('bad', word)}
    </div>
    ${g.connected ? nothing : offLine(g)}
    <div class="g2 gap">
      ${facts([
        ['EUI', eui(g.eui)],
        ['Driver', safe(g.driver)],
        ['Address', g.address ? safe(g.address) : html`<span class="muted">none yet</span>`],
        ['Plan', safe(g.plan)],
      ])}
      ${facts([
        [g.connected ? 'Connected' : 'Off line since', when(g.since)],
        ['Last frame', when(g.lastUplink)],
        g.lastPull != null && ['Last PULL_DATA', when(g.lastPull)],
        ['Last TX_ACK', when(g.lastAck)],
        ['Round trip', trip(g)],
      ])}
    </div>
    ${airtime(g)}
  </section>`;
}

function unknown(g) {
  return html`<div class="problem info">
    <div class="ph">${icon('info')}<b>Unknown gateway</b> ${eui(g.eui)}</div>
    <p>
      Sends from ${safe(g.address)}, first ${when(g.first)}, last ${when(g.last)}; ${plural(g.frames, 'frame')} refused.
    </p>
    <p class="acts">
      <a class="btn" href=${addGatewayHref(g.eui)}>${icon('plus')}Add it</a>
      <span class="small muted">Leave it if it is a neighbour's.</span>
    </p>
  </div>`;
}

function forwarderCard() {
  const loopback = /^(127\.|localhost|\[::1\])/.test(S.status.addresses?.udp ?? '');
  return html`<section class="card">
    <h2>For the packet forwarder</h2>
    <p>
      In <code>global_conf.json</code> or <code>local_conf.json</code> of the gateway, then restart its packet
      forwarder. On this machine itself the address is <code>127.0.0.1</code>.
    </p>
    ${block(forwarderSettings(), 'Settings of the packet forwarder')} ${loopback ? openUDP() : nothing}
  </section>`;
}

/** The daemon listens to its own machine only: others need a line in the configuration. */
export const openUDP = () =>
  html`<p class="small">
      lorawand listens to packet forwarders of its own machine only. For gateways on the LAN put this into its
      configuration, then restart it:
    </p>
    ${block('[udp]\nlisten = ":1700"', 'Lines of the configuration')}`;

export function gateways() {
  return html`<div class="head">
      <h1 tabindex="-1">Gateways</h1>
      ${owner() ? html`<a class="btn primary" href="#/add-gateway">${icon('plus')}Add gateway</a>` : nothing}
    </div>
    ${problems(S.problems.filter((p) => /gateway|port|udp|forwarder/.test(p.code)))}
    ${owner() ? S.unknownGateways.map(unknown) : nothing}
    ${
      S.gateways.length
        ? S.gateways.map(gateway)
        : emptyBox('No gateway yet', 'Point the packet forwarder to this machine (see below): its EUI appears here.')
    }
    ${forwarderCard()}`;
}

const form = {key: null, eui: '', plan: '', country: ''};

/** The lines of the configuration for a gateway. The file is the owner's: the page does not write it. */
export function gatewayLines(id, plan) {
  return `[[gateway]]\neui = "${id.toLowerCase()}"\n${plan ? `frequency_plan = "${plan}"\n` : ''}`;
}

export const reloadCommands = () =>
  html`<p>Then have lorawand read it again; nothing stops meanwhile:</p>
    ${block('/etc/init.d/lorawand reload # OpenWrt\nsystemctl reload lorawand   # systemd', 'Command')}`;

export function addGateway({query}) {
  const std = loadPlans();
  if (form.key !== query.toString())
    Object.assign(form, {key: query.toString(), eui: cleanHex(query.get('eui') ?? '')});
  const known = S.gateways.find((g) => g.eui.toUpperCase() === form.eui);
  const good = isHex(form.eui, 16);
  const choose = (plan, country) => {
    Object.assign(form, {plan, country});
    redraw();
  };
  const typed = (e) => {
    form.eui = cleanHex(e.target.value);
    redraw();
  };
  return html`<div class="head"><h1 tabindex="-1">Add a gateway</h1></div>
    <section class="card form">
      ${
        query.get('eui')
          ? html`<p class="hintbox">${icon('info')}The EUI is the one that was seen on the LAN.</p>`
          : nothing
      }
      <label class="field">
        <span class="fl">EUI</span>
        <input
          class="mono"
          name="eui"
          .value=${form.eui}
          placeholder="0242020000247803"
          spellcheck="false"
          autocomplete="off"
          @input=${typed}
        />
        <span class="hint">gateway_ID in its packet forwarder.</span>
      </label>
      ${planPicker(form, choose)}
      <h3>Put these lines into the configuration</h3>
      ${
        good
          ? html`${block(gatewayLines(form.eui, form.plan === std ? '' : form.plan), 'Lines of lorawand.toml')}
              <p class="small muted">The configuration is usually /etc/lorawand/lorawand.toml.</p>
              ${reloadCommands()}`
          : html`<p class="muted">They appear when the EUI has its 16 hexadecimal digits.</p>`
      }
      ${known ? state('ok', 'It is known here now.') : nothing}
      <p class="acts"><a class="btn" href="#/gateways">${known ? 'Done' : 'Cancel'}</a></p>
    </section>`;
}
