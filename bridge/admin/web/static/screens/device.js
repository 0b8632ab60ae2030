// One device: what it says, how well it is heard, what is sent to it, what it was told.
import {html, nothing, when, deviceState, name, devHref, emptyBox, eui, copyButton} from '../ui.js';
import {S, gatewayName} from '../state.js';
import {plural, safe, span} from '../text.js';
import {detail} from '../api.js';
import {data} from './frames.js';
import {downlinks} from './downlinks.js';
import {radio} from './radio.js';
import {settings} from './settings.js';

const TABS = {
  data: ['Data', data],
  downlinks: ['Downlinks', downlinks],
  radio: ['Radio', radio],
  settings: ['Settings', settings],
};

function heard(d) {
  if (!d.last) return d.join ? html`last tried ${when(d.join.at)}` : 'nothing heard yet';
  const by = d.last.heard.map((h) => safe(gatewayName(h.gateway))).join(', ');
  return html`heard ${when(d.last.at)} <span class="muted">by ${by}${d.every ? `; every ${span(d.every)}` : ''}</span>`;
}

function head(d) {
  return html`<div class="head dev">
    <div class="devtitle">
      <p class="crumb"><a href="#/devices">Devices</a> / ${safe(d.app)}</p>
      <div class="h1row">
        <h1 tabindex="-1">${safe(d.id)}</h1>
        ${deviceState(d)} ${d.cls === 'A' ? nothing : html`<span class="tag">Class ${d.cls}</span>`}
      </div>
      ${d.name ? html`<p class="devname">${name(d.name)}</p>` : nothing}
    </div>
    <div class="devfacts">
      <span>${heard(d)}</span>
      <span class="muted nw"
        >DevEUI ${eui(d.devEUI)}${copyButton(d.devEUI, 'Copy the DevEUI')}</span
      >
    </div>
  </div>`;
}

function tabs(d, chosen) {
  const n = detail(d).queue.length;
  const waiting = n ? html` <span class="count quiet" aria-label=${plural(n, 'downlink')}>${n}</span>` : nothing;
  const tab = ([k, [word]]) =>
    html`<a href=${devHref(d, k === 'data' ? '' : k)} aria-current=${k === chosen ? 'page' : nothing}>
      ${word}${k === 'downlinks' ? waiting : nothing}
    </a>`;
  return html`<nav class="subtabs" aria-label="Parts of ${safe(d.id)}">${Object.entries(TABS).map(tab)}</nav>`;
}

export function device({args: [app, id, tab]}) {
  const d = S.devices.find((x) => x.app === app && x.id === id);
  if (!d) {
    return html`<h1 tabindex="-1">No such device</h1>
      ${emptyBox(
        `${safe(app)}/${safe(id)} is not known here`,
        'It may have been deleted. Look in the list.',
        html`<a class="btn" href="#/devices">All devices</a>`,
      )}`;
  }
  const chosen = Object.hasOwn(TABS, tab) ? tab : 'data';
  return html`${head(d)}${tabs(d, chosen)}${TABS[chosen][1](d, detail(d))}`;
}
