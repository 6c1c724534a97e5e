"use strict";
// All text goes in as text nodes; nothing of the data is ever read as HTML.
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);

function make(tag, kind, ...parts) {
  const node = document.createElement(tag);
  if (kind) node.className = kind;
  node.append(...parts);
  return node;
}

function words(pairs) {
  const line = make("span", "text");
  for (const [said, heard] of pairs) {
    const op = said === heard ? "C" : !said ? "I" : !heard ? "D" : "S";
    const word = make("span", "w " + op);
    if (op === "D" || op === "S") word.append(make("span", "r", said));
    if (heard) word.append(make("span", "h", heard));
    line.append(word, " ");
  }
  return line;
}

const wrong = (pairs) => pairs.filter(([said, heard]) => said !== heard);
const kinds = { S: ([r, h]) => r && h, D: ([r, h]) => r && !h, I: ([r, h]) => !r && h };

function fits(one, form) {
  const all = one.systems.flatMap((system) => wrong(system.pairs));
  if (form.speaker && one.speaker !== form.speaker) return false;
  if (form.only === "wrong" && !all.length) return false;
  if (form.only === "differ" && new Set(one.systems.map((system) => system.words.join(" "))).size < 2) return false;
  if (form.kind && !all.some(kinds[form.kind])) return false;
  const asked = form.text.trim().toLowerCase().split(/\s+/).filter(Boolean);
  const texts = form.inErrors ? all.flat() : [one.id, ...one.systems.flatMap((system) => system.pairs.flat())];
  const held = texts.map((text) => text.toLowerCase());
  return asked.every((word) => held.some((text) => text === word || (!form.inErrors && text.includes(word))));
}

const orders = {
  errors: (a, b) => b.systems[0].errors - a.systems[0].errors,
  rate: (a, b) => b.systems[0].errors / (b.count || 1) - a.systems[0].errors / (a.count || 1),
  sure: (a, b) => a.systems[0].sure - b.systems[0].sure,
  id: () => 0,
};

function state() {
  const form = $("filter").elements;
  return { text: form.text.value, speaker: form.speaker.value, kind: form.kind.value, only: form.only.value,
    order: form.order.value, inErrors: form.inErrors.checked };
}

function list() {
  const form = state();
  const found = data.utterances.filter((one) => fits(one, form)).sort(orders[form.order]);
  $("count").textContent = `${found.length} of ${data.utterances.length} utterances`;
  $("list").replaceChildren(...found.slice(0, 500).map((one) => {
    const sums = one.systems.map((system) => `${system.errors}`).join(" : ");
    const sure = one.systems[0].sure >= 0 ? `, confidence ${one.systems[0].sure.toFixed(2)}` : "";
    const head = make("span", "head", `${one.id} ${one.speaker ? "· " + one.speaker + " " : ""}· ${sums} errors in ` +
      `${one.count} words${sure}${one.audio ? " · ♪" : ""}`);
    const row = make("button", "row", head, ...one.systems.map((system) => words(system.pairs)));
    row.dataset.id = one.id;
    row.setAttribute("aria-pressed", String(one.id === shown));
    row.addEventListener("click", () => show(one.id, true));
    return row;
  }));
}

function shade(value) {
  return `hsl(${Math.round(120 * value)} 70% 50% / ${(0.1 + 0.35 * (1 - value)).toFixed(2)})`;
}

function sureWords(system) {
  const line = make("p", "text");
  system.words.forEach((word, at) => {
    const node = make("span", "c", word);
    if (at < system.confidences.length) {
      node.style.background = shade(system.confidences[at]);
      node.title = `confidence ${system.confidences[at].toFixed(3)}`;
    }
    if (at < system.times.length) node.title += ` ${system.times[at].map((t) => t.toFixed(2)).join("–")} s`;
    line.append(node, " ");
  });
  return line;
}

function network(bins) {
  const out = make("div", "network");
  for (const [begin, end, rows] of bins) {
    const bin = make("div", "bin");
    bin.title = `frames ${begin.toFixed(0)}–${end.toFixed(0)}`;
    for (const [word, share] of rows)
      bin.append(make("div", "", make("span", "", word || "–"), make("span", "p", share.toFixed(share < 0.1 ? 3 : 2))));
    out.append(bin);
  }
  return out;
}

function sound(one) {
  const player = make("audio");
  player.controls = true;
  player.preload = "metadata";
  player.src = one.audio;
  const picture = make("div", "picture"), image = make("img");
  image.src = one.picture;
  image.alt = "spectrogram of " + one.id;
  picture.append(image);
  picture.style.minWidth = `${Math.round(90 * one.seconds)}px`;
  const system = one.systems[0];
  system.times.forEach(([begin, end], at) => {
    const mark = make("div", "mark", make("span", "", system.words[at]));
    mark.style.left = `${100 * begin / one.seconds}%`;
    mark.style.width = `${100 * (end - begin) / one.seconds}%`;
    mark.title = `${system.words[at]} ${begin.toFixed(2)}–${end.toFixed(2)} s`;
    picture.append(mark);
  });
  const now = make("div", "now");
  now.style.left = "0%";
  picture.append(now);
  player.addEventListener("timeupdate", () => { now.style.left = `${100 * player.currentTime / one.seconds}%`; });
  picture.addEventListener("click", (event) => {
    const box = picture.getBoundingClientRect();
    player.currentTime = one.seconds * (event.clientX - box.left) / box.width;
    player.play();
  });
  return make("div", "sound", player, picture);
}

let shown = "";
function show(id, go) {
  const one = data.utterances.find((other) => other.id === id);
  if (!one) return;
  shown = id;
  const parts = [make("h3", "", one.id)];
  if (one.audio) parts.push(sound(one));
  one.systems.forEach((system, at) => {
    if (data.systems.length > 1) parts.push(make("h3", "", data.systems[at]));
    parts.push(words(system.pairs), sureWords(system));
    if (system.nbest.length) {
      const best = make("ol", "nbest");
      for (const [graph, acoustic, text] of system.nbest) {
        const item = make("li", "", text);
        item.title = `graph ${graph.toFixed(2)}, acoustic ${acoustic.toFixed(2)}`;
        best.append(item);
      }
      parts.push(make("h3", "", "n-best"), best);
    }
    if (system.network.length) parts.push(make("h3", "", "confusion network"), network(system.network));
  });
  $("detail").replaceChildren(make("div", "detail", ...parts));
  for (const row of document.querySelectorAll(".row")) row.setAttribute("aria-pressed", String(row.dataset.id === id));
  if (go) history.replaceState(null, "", "#" + new URLSearchParams({ ...fields(), u: id }));
}

function fields() {
  return Object.fromEntries(Object.entries(state()).filter(([, value]) => value).map(([k, v]) => [k, String(v)]));
}

function open() { // a link may hold a filter and an utterance: page.html#text=the&u=ID
  const asked = new URLSearchParams(location.hash.slice(1)), form = $("filter").elements;
  for (const name of ["text", "speaker", "kind", "only", "order"]) if (asked.has(name)) form[name].value = asked.get(name);
  form.inErrors.checked = asked.get("inErrors") === "true";
  list();
  const first = document.querySelector(".row");
  if (asked.has("u")) show(asked.get("u"), false);
  else if (first) show(first.dataset.id, false);
}

$("filter").addEventListener("input", list);
$("filter").addEventListener("submit", (event) => event.preventDefault());
for (const cell of document.querySelectorAll("[data-find]"))
  cell.addEventListener("click", () => {
    const form = $("filter").elements;
    form.text.value = cell.dataset.find;
    form.inErrors.checked = true;
    list();
    $("filter").scrollIntoView();
  });
open();
