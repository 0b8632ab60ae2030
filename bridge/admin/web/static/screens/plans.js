// Frequency plans, and the countries that they are for.
import {html, nothing, emptyBox} from '../ui.js';
import {S, redraw} from '../state.js';
import {safe} from '../text.js';
import {extra} from '../api.js';

const names = new Intl.DisplayNames(['en'], {type: 'region', fallback: 'code'});

/** "Germany" for "de"; what is no code of a country stays as it is. */
function countryName(country) {
  try {
    return names.of(country.toUpperCase());
  } catch {
    return country;
  }
}

/** Fetches the plans into S, and answers the default one of this daemon; undefined until it is there. */
export function loadPlans() {
  const answer = extra('plans');
  if (answer?.plans) S.plans = answer.plans.map((p) => ({...p, band: p.band_id, countries: p.country_codes ?? []}));
  return answer?.plan;
}

/** All plans for a select. */
export function planOptions() {
  loadPlans();
  return S.plans.map((p) => [p.id, `${p.id} (${p.region})`]);
}

const search = {text: ''};

/** A country and its plan: a row for each pair, so that a search finds one by any word of it. */
function rows() {
  const words = search.text.toLowerCase().split(/\s+/).filter(Boolean);
  const out = [];
  for (const p of S.plans) {
    const all = p.countries.length ? p.countries.map(countryName) : [p.region];
    for (const country of all) {
      const text = `${country} ${p.region} ${p.band} ${p.id}`.toLowerCase();
      if (words.every((w) => text.includes(w))) out.push({country, plan: p});
    }
  }
  return out.sort((a, b) => b.plan.ttn - a.plan.ttn || a.country.localeCompare(b.country));
}

const ROWS = 8;

/** A list of countries with a search over all plans. choose is called with the id of a plan. */
export function planPicker(chosen, choose) {
  const found = rows();
  const typed = (e) => {
    search.text = e.target.value;
    redraw();
  };
  const option = (r) =>
    html`<li>
      <label class="pick">
        <input
          type="radio"
          name="plan"
          value=${r.plan.id}
          .checked=${r.plan.id === chosen.plan && r.country === chosen.country}
          @change=${() => choose(r.plan.id, r.country)}
        />
        <span class="grow"
          ><b>${safe(r.country)}</b
          ><span class="sub">${r.plan.id}${r.plan.ttn ? ', as The Things Network' : ''}</span></span
        >
      </label>
    </li>`;
  return html`<label class="field">
      <span class="fl">Country, region or plan</span>
      <input
        type="search"
        name="country"
        placeholder="Germany"
        autocomplete="off"
        .value=${search.text}
        @input=${typed}
      />
      <span class="hint">
        It decides the frequencies, and how long the gateway may send. It must be the one that the gateway was bought
        for.
      </span>
    </label>
    ${
      found.length
        ? html`<ul class="picks" role="group" aria-label="Frequency plans">
            ${found.slice(0, ROWS).map(option)}
          </ul>`
        : emptyBox('No plan fits', 'Try the name of a neighbouring country, or a frequency such as 868.')
    }
    ${found.length > ROWS ? html`<p class="small muted">${found.length - ROWS} more: write a word.</p>` : nothing}`;
}
