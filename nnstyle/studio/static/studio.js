// The page of the studio. It asks `app.py`, and shows what the server tells of each painting.
import { drawCurves } from "./curves.js";
import { drawMask } from "./mask.js";

const byId = id => document.getElementById(id);
const paintings = new Map(); // by number, as the server tells of them
const given = new Map(); // pictures that were given, by id
let server = null; // what does not change: see `state` in app.py
let line = []; // numbers of those that wait
let shown = null; // number of the painting on the stage, null: the photograph that is chosen
let records = []; // its losses
let live = null; // the latest news of the one that is being painted
let hasList = false; // the first list has come
let isGone = false; // the server has ended

// What the form asks for; all else is in its controls. A painting's weight is its share, from 1 to 10.
const chosen = { content: null, styles: [], mask: null, init: null, scales: null };

// Asking the server

async function ask(method, path, body, type) {
  const options = { method, headers: {} };
  if (body !== undefined) {
    options.body = type ? body : JSON.stringify(body);
    options.headers["Content-Type"] = type || "application/json";
  }
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("The server does not answer.");
  }
  if (answer.ok) return answer.json();
  const text = await answer.text();
  let message = text;
  try { message = JSON.parse(text).error; } catch { /* a line of text */ }
  throw new Error(sentence(message || `The server answers ${answer.status}.`));
}

const sentence = text => text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
const smallOf = id => `/api/pictures/${id}`;
const smallOfPainting = painting => `/api/paintings/${painting.number}/small?v=${painting.version}`;

async function give(file, name) {
  if (file.size > server.most.bytes) throw new Error(`${name} has more than ${server.most.bytes / 1e6} MB: save it anew, smaller.`);
  const picture = await ask("POST", `/api/pictures?name=${encodeURIComponent(name)}`, file, "application/octet-stream");
  given.set(picture.id, picture);
  return picture;
}

// Numbers in words

const number = value => String(Number(value.toPrecision(3)));
const times = factor => (Math.abs(factor - 1) < 1e-6 ? "usual" : `${number(factor)} × the usual`);
const left = value => (value < 90 ? `${Math.round(value)} s` : `${Math.round(value / 60)} min`);
const took = value => (value < 100 ? `${Math.round(value)} s` : `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`);
const usualBeta = init => (init === "noise" ? server.beta.noise : server.beta.usual);
const COLOURS = { style: "the painting’s colours", content: "the photograph’s colours", luminance: "the photograph’s colours, light compared", match: "matched colours" };
const INITS = { recoloured: "the photograph in the painting’s colours", content: "the photograph", noise: "white noise", style: "the painting" };
const nameOf = id => given.get(id)?.name || "a picture that is gone";

function titleOf(painting) {
  const [content, ...styles] = painting.names;
  return `${content} in the style of ${styles.join(" and ")}`;
}

const HAVE_SEEDS = ["recoloured", "content", "noise"];  // those that may have white noise or grain

function settingsOf(painting) {
  const { order } = painting;
  const factor = painting.beta_per_pixel / usualBeta(order.init);
  const parts = [`${order.size}\u00a0px`, `style weight ${number(factor)}\u00a0×`];
  if (order.style_scale !== 1) parts.push(`strokes ${number(order.style_scale)}\u00a0×`);
  if (order.colour !== "style") parts.push(COLOURS[order.colour]);
  if (order.init !== "recoloured") parts.push(`from ${INITS[order.init] || "a picture"}`);
  if (HAVE_SEEDS.includes(order.init) && order.seed) parts.push(`seed ${order.seed}`);
  if (order.mask) parts.push("with a mask");
  return parts.join(", ");
}

const STATES = { waiting: "in line", painting: "being painted", finished: "finished", stopped: "stopped", failed: "failed" };

function stateOf(painting) {
  if (painting.state === "waiting") {
    const place = line.indexOf(painting.number);
    return place < 0 ? "in line" : `number ${place + 1} in line`;
  }
  const isShort = painting.state === "stopped" && painting.iteration;
  return STATES[painting.state] + (isShort ? ` after ${painting.iteration} of ${painting.iterations}` : "");
}

// The form

const form = byId("form");

function setThumb(image, id) {
  image.hidden = !id;
  if (id && image.getAttribute("src") !== smallOf(id)) image.src = smallOf(id);
}

function button(text, action, label) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "plain";
  made.textContent = text;
  if (label) made.setAttribute("aria-label", label);
  made.addEventListener("click", action);
  return made;
}

// Made anew only when there are others: whoever moves a slider must keep hold of it.
function showPaintings() {
  byId("paintings").replaceChildren(...chosen.styles.map((style, index) => {
    const item = document.createElement("li"), image = document.createElement("img"), text = document.createElement("div");
    const name = document.createElement("p");
    image.alt = "";
    setThumb(image, style.picture);
    text.className = "text";
    name.className = "name";
    name.textContent = nameOf(style.picture);
    text.append(name);
    if (chosen.styles.length > 1) {
      const share = document.createElement("label"), range = document.createElement("input");
      share.className = "share";
      Object.assign(range, { type: "range", min: 1, max: 10, step: 1, value: style.weight });
      range.setAttribute("aria-label", `Share of ${nameOf(style.picture)}`);
      range.addEventListener("input", () => { style.weight = Number(range.value); remember(); });
      share.append("share", range);
      text.append(share);
    }
    text.append(button("Remove", () => {
      chosen.styles.splice(index, 1);
      showPaintings();
      showForm();
      byId("painting-choose").focus();
    }, `Remove ${nameOf(style.picture)}`));
    item.append(image, text);
    return item;
  }));
}

function showForm() {
  setThumb(byId("photo-thumb"), chosen.content);
  byId("photo-name").textContent = chosen.content ? nameOf(chosen.content) : "none yet";
  const [content, style] = server.samples;
  byId("samples").hidden = chosen.content === content && chosen.styles.length === 1 && chosen.styles[0].picture === style;
  byId("init-chosen").hidden = byId("init").value !== "file";
  setThumb(byId("init-thumb"), chosen.init);
  byId("init-name").textContent = chosen.init ? nameOf(chosen.init) : "none yet";
  byId("seed-control").hidden = !HAVE_SEEDS.includes(byId("init").value);
  byId("mask-open").textContent = chosen.mask ? "Change the mask" : "Paint a mask";
  byId("mask-open").disabled = !chosen.content;
  byId("mask-remove").hidden = !chosen.mask;
  byId("mask-state").textContent = chosen.mask ? "Only what is drawn is painted." : "The whole picture is painted.";
  for (const name of ["style-weight", "style-scale"]) showFactor(name);
  if (shown === null) showAll();
  remember();
}

function showFactor(name) {
  const text = times(2 ** byId(name).value);
  byId(`${name}-value`).textContent = text;
  byId(name).setAttribute("aria-valuetext", text);
}

const FIELDS = ["style-weight", "style-scale", "size", "iterations", "colour", "init", "seed"];

function remember() {
  const values = Object.fromEntries(FIELDS.map(name => [name, byId(name).value]));
  try {
    sessionStorage.setItem("form", JSON.stringify({ chosen, values }));
  } catch { /* a browser that keeps nothing */ }
}

function recall() {
  const [content, style] = server.samples;
  Object.assign(chosen, { content, styles: [{ picture: style, weight: 5 }] });
  byId("size").value = server.settings.size;
  byId("iterations").value = server.settings.iterations;
  try {
    const kept = JSON.parse(sessionStorage.getItem("form"));
    const ids = [kept.chosen.content, ...kept.chosen.styles.map(one => one.picture), kept.chosen.mask, kept.chosen.init];
    if (ids.some(id => id && !given.has(id))) return;
    Object.assign(chosen, kept.chosen);
    for (const name of FIELDS) byId(name).value = kept.values[name];
  } catch { /* the first visit */ }
}

function orderOfForm() {
  const init = byId("init").value === "file" ? chosen.init : byId("init").value;
  if (!chosen.content) throw new Error("Choose a photograph first.");
  if (!chosen.styles.length) throw new Error("Choose a painting first.");
  if (!init) throw new Error("Choose an initial image, or start from another one.");
  const factor = 2 ** byId("style-weight").value;
  return {
    content: chosen.content, styles: chosen.styles.length > 1 ? chosen.styles : [{ ...chosen.styles[0], weight: 1 }], mask: chosen.mask, init, scales: chosen.scales,
    size: Number(byId("size").value), iterations: Number(byId("iterations").value),
    style_scale: 2 ** byId("style-scale").value, colour: byId("colour").value, seed: Number(byId("seed").value),
    beta_per_pixel: factor === 1 ? null : factor * usualBeta(init),
  };
}

// Fill in the form as a painting was ordered.
function again(painting) {
  const { order } = painting;
  const isThere = id => given.has(id);
  chosen.content = isThere(order.content) ? order.content : null;
  chosen.styles = order.styles.filter(style => isThere(style.picture)).map(style => ({ ...style }));
  if (chosen.styles.length === 1) chosen.styles[0].weight = 5; // in the middle, should others join it
  chosen.mask = order.mask && isThere(order.mask) ? order.mask : null;
  const isNamed = order.init in INITS;
  chosen.init = isNamed ? null : order.init;
  chosen.scales = order.scales;
  const log = value => String(Math.log2(value));
  const values = {
    "style-weight": log(painting.beta_per_pixel / usualBeta(order.init)), "style-scale": log(order.style_scale),
    size: order.size, iterations: order.iterations, colour: order.colour, init: isNamed ? order.init : "file", seed: order.seed,
  };
  for (const name of FIELDS) byId(name).value = values[name];
  showPaintings();
  showForm();
  tell("The settings of this picture are in the form.");
  byId("start").scrollIntoView({ block: "nearest" });
  byId("start").focus();
}

const failed = (place, error) => { byId(place).textContent = error.message; };

async function takeFiles(files, keep) {
  const complaints = [];
  byId("form-error").textContent = "";
  for (const file of files) {
    try {
      byId("connection").textContent = `Reading ${file.name} …`;
      keep(await give(file, file.name));
      tell(`${file.name} is chosen.`);
    } catch (error) {
      complaints.push(`${file.name}: ${error.message}`);
      byId("form-error").textContent = complaints.join(" ");
    }
  }
  byId("connection").textContent = "";
  showPaintings();
  showForm();
}

const PLACES = {
  photo: picture => {
    if (picture.id !== chosen.content) chosen.mask = null; // it was drawn over another photograph
    chosen.content = picture.id;
    shown = null;
  },
  painting: picture => {
    const isSample = chosen.styles.length === 1 && chosen.styles[0].picture === server.samples[1];
    if (isSample) chosen.styles = []; // it is there only so that there is one
    if (chosen.styles.length >= server.most.styles) throw new Error(`${server.most.styles} paintings at most.`);
    if (!chosen.styles.some(style => style.picture === picture.id)) chosen.styles.push({ picture: picture.id, weight: 5 });
  },
  init: picture => { chosen.init = picture.id; },
};
for (const [name, keep] of Object.entries(PLACES)) {
  const input = byId(`${name}-file`);
  byId(`${name}-choose`).addEventListener("click", () => input.click());
  input.addEventListener("change", async () => {
    await takeFiles([...input.files], keep);
    input.value = "";
  });
}
for (const [id, keep] of [["photo-drop", PLACES.photo], ["paintings-drop", PLACES.painting], ["frame", PLACES.photo]]) {
  const target = byId(id);
  target.addEventListener("dragover", event => { event.preventDefault(); target.classList.add("over"); });
  target.addEventListener("dragleave", () => target.classList.remove("over"));
  target.addEventListener("drop", event => {
    event.preventDefault();
    target.classList.remove("over");
    takeFiles([...event.dataTransfer.files], keep);
  });
}
for (const name of ["dragover", "drop"]) window.addEventListener(name, event => event.preventDefault()); // never leave the page

form.addEventListener("invalid", () => { byId("more").open = true; }, true); // what is folded away cannot complain
form.addEventListener("input", event => {
  if (event.target.id === "init") chosen.scales = null;
  if (event.target.type !== "file") showForm();
});
byId("samples").addEventListener("click", () => {
  const [content, style] = server.samples;
  Object.assign(chosen, { content, styles: [{ picture: style, weight: 5 }], mask: null });
  shown = null;
  showPaintings();
  showForm();
  byId("photo-choose").focus();
});
byId("mask-open").addEventListener("click", () => {
  const keep = async blob => { chosen.mask = (await give(blob, "mask.png")).id; showForm(); };
  drawMask(smallOf(chosen.content), chosen.mask && smallOf(chosen.mask), keep).catch(error => failed("form-error", error));
});
byId("mask-remove").addEventListener("click", () => { chosen.mask = null; showForm(); byId("mask-open").focus(); });
form.addEventListener("submit", async event => {
  event.preventDefault();
  byId("form-error").textContent = "";
  byId("start").disabled = true;
  try {
    const { number } = await ask("POST", "/api/paintings", orderOfForm());
    select(number);
    byId("stage-title").scrollIntoView({ block: "nearest" });
  } catch (error) {
    failed("form-error", error);
  }
  byId("start").disabled = false;
});

// The stage

let forgetting = 0;

// A line for eyes and screen readers, which goes away again.
function tell(text) {
  byId("announcement").textContent = text;
  clearTimeout(forgetting);
  forgetting = setTimeout(() => { byId("announcement").textContent = ""; }, 8000);
}

function select(number) {
  shown = number;
  records = [];
  byId("stage-error").textContent = "";
  showAll();
  if (number !== null) fetchRecords(number);
}

async function fetchRecords(number) {
  try {
    const found = await ask("GET", `/api/paintings/${number}/losses`);
    if (shown === number && found.length >= records.length) {
      records = found;
      showCurves();
    }
  } catch { /* it was deleted */ }
}

function showPicture(image, address, text) {
  image.hidden = !address;
  if (address && image.getAttribute("src") !== address) image.src = address;
  image.alt = address ? text : "";
}

// The picture, and how far it is.
function showImages(painting) {
  const isLive = painting?.state === "painting";
  const hasSmall = painting && (painting.has_small || (isLive && live?.number === shown && live.has_picture));
  const photo = painting ? painting.order.content : chosen.content;
  const photoAddress = photo && given.has(photo) ? smallOf(photo) : null;
  if (hasSmall) {
    showPicture(byId("picture"), smallOfPainting(painting), `${titleOf(painting)}, ${stateOf(painting)}`);
    showPicture(byId("under"), photoAddress, "The photograph, to compare with");
  } else {
    showPicture(byId("picture"), photoAddress, "The photograph");
    showPicture(byId("under"), null);
  }
  const canCompare = Boolean(hasSmall && photoAddress);
  byId("compare").hidden = !canCompare;
  byId("frame").classList.toggle("comparing", canCompare);
  byId("edge").hidden = !canCompare || Number(byId("split").value) === 0;
  showProgress(painting);
}

function showStage() {
  const painting = paintings.get(shown);
  const isLive = painting?.state === "painting";
  byId("stage-title").textContent = painting ? titleOf(painting) : "Ready to paint";
  byId("subtitle").textContent = painting ? `Picture ${painting.number}` : "";
  showImages(painting);
  byId("why").textContent = painting ? painting.why : "";
  byId("notes").replaceChildren(...(painting ? painting.notes : []).map(text => {
    const item = document.createElement("li");
    item.textContent = sentence(text);
    return item;
  }));
  const wanted = painting ? ACTIONS[painting.state].filter(name => name !== "download" || painting.has_picture) : [];
  for (const one of byId("actions").children) one.hidden = !wanted.includes(one.dataset.action || one.id);
  const stop = byId("actions").querySelector("[data-action=stop]");
  stop.textContent = painting?.state === "waiting" ? "Take out of the line" : "Stop";
  byId("actions").querySelector("[data-action=go-on]").textContent = painting?.can_go_on ? "Go on" : "Begin again";
  if (painting) byId("download").href = `/api/paintings/${painting.number}/picture`;
  byId("steer").hidden = !isLive;
  if (isLive && byId("steer").dataset.number !== String(painting.number)) {
    byId("steer").dataset.number = painting.number;
    byId("live-weight").value = Math.log2(painting.beta_per_pixel / usualBeta(painting.order.init));
    showFactor("live-weight");
  }
  byId("about").hidden = !painting;
  if (painting) showSettings(painting);
  showCurves();
}

const ACTIONS = {
  waiting: ["stop", "again"],
  painting: ["stop", "again"],
  finished: ["download", "again", "more", "delete"],
  stopped: ["go-on", "download", "again", "more", "delete"],
  failed: ["go-on", "download", "again", "delete"],
};

function showProgress(painting) {
  const isLive = painting?.state === "painting";
  byId("bar").hidden = !isLive;
  let text = "";
  if (!painting) {
    text = paintings.size ? "" : "Press Paint for a first picture of the samples, or choose pictures of your own.";
  } else if (isLive) {
    const news = live?.number === shown ? live : null;
    const iteration = news ? news.count : painting.iteration;
    byId("bar").max = painting.iterations;
    byId("bar").value = iteration;
    text = iteration ? `Iteration ${iteration} of ${painting.iterations}` : "Getting ready …";
    if (iteration && news?.size && news.size < painting.order.size) text += `, at ${news.size} px`;
    if (news && news.left !== null && iteration < painting.iterations) text += ` · ${left(news.left)} left`;
  } else if (painting.state === "waiting") {
    text = sentence(stateOf(painting));
  } else {
    text = sentence(stateOf(painting));
    if (painting.state === "finished") text = `Finished after ${painting.iteration} iterations in ${took(painting.seconds)}.`;
  }
  byId("status").textContent = text;
}

function showSettings(painting) {
  const { order } = painting;
  const factor = painting.beta_per_pixel / usualBeta(order.init);
  const rows = [
    ["photograph", nameOf(order.content)],
    [order.styles.length > 1 ? "paintings" : "painting",
      order.styles.map(one => nameOf(one.picture) + (order.styles.length > 1 ? ` (share ${number(one.weight)})` : "")).join(", ")],
    ["size", `${order.size} px`],
    ["iterations", order.iterations],
    ["style weight", `${times(factor)}: ${number(painting.beta_per_pixel)} for each pixel`],
    ["style scale", number(order.style_scale)],
    ["colours", COLOURS[order.colour]],
    ["initial image", INITS[order.init] || nameOf(order.init)],
  ];
  if (HAVE_SEEDS.includes(order.init)) rows.push(["seed", order.seed]);
  if (order.mask) rows.push(["mask", "yes"]);
  rows.push(["network", server.network]);
  byId("settings").replaceChildren(...rows.flatMap(([name, value]) => {
    const term = document.createElement("dt"), text = document.createElement("dd");
    term.textContent = name;
    text.textContent = value;
    return [term, text];
  }));
}

let drawnAt = 0; // when the curves were drawn: they need not follow every piece of news

function showCurves() {
  const painting = paintings.get(shown);
  byId("losses").hidden = !painting || records.length < 2;
  if (byId("losses").hidden) return;
  drawCurves(byId("curves"), records, painting.iterations);
  drawnAt = performance.now();
}
new ResizeObserver(showCurves).observe(byId("stage"));

function splitAt(percent) {
  byId("split").value = percent;
  placeSplit();
}

// The picture may be narrower or lower than its frame: the edge moves over the picture alone.
function placeSplit() {
  const frame = byId("frame"), picture = byId("picture"), percent = Number(byId("split").value);
  const width = picture.naturalWidth * Math.min(frame.clientWidth / picture.naturalWidth, frame.clientHeight / picture.naturalHeight);
  const margin = (frame.clientWidth - width) / 2;
  if (picture.naturalWidth) frame.style.setProperty("--aspect", `${picture.naturalWidth} / ${picture.naturalHeight}`);
  frame.style.setProperty("--split", `${margin + width * percent / 100}px`);
  byId("edge").hidden = percent === 0 || byId("compare").hidden;
  byId("split").setAttribute("aria-valuetext", percent === 0 ? "the picture" : percent === 100 ? "the photograph" : `${percent} % photograph`);
}
byId("split").addEventListener("input", placeSplit);
byId("picture").addEventListener("load", placeSplit);
new ResizeObserver(placeSplit).observe(byId("frame"));
byId("frame").addEventListener("pointerdown", event => {
  if (byId("compare").hidden) return;
  const frame = byId("frame");
  frame.setPointerCapture(event.pointerId);
  const follow = moved => {
    const box = frame.getBoundingClientRect(), picture = byId("picture");
    const width = picture.naturalWidth * Math.min(box.width / picture.naturalWidth, box.height / picture.naturalHeight);
    const part = (moved.clientX - box.left - (box.width - width) / 2) / width;
    splitAt(Math.round(100 * Math.min(1, Math.max(0, part))));
  };
  follow(event);
  frame.addEventListener("pointermove", follow);
  const end = () => frame.removeEventListener("pointermove", follow);
  frame.addEventListener("pointerup", end, { once: true });
  frame.addEventListener("pointercancel", end, { once: true });
});

async function act(painting, action) {
  byId("stage-error").textContent = "";
  try {
    if (action === "again") again(painting);
    else if (action === "delete") {
      if (!window.confirm(`Delete picture ${painting.number} and its file?`)) return;
      await ask("DELETE", `/api/paintings/${painting.number}`);
      byId("stage-title").focus();
    } else {
      const { ordered } = await ask("POST", `/api/paintings/${painting.number}/${action}`, {});
      if (action === "more") tell(`${ordered.length} pictures like this one are in line.`);
      if (action === "stop") tell(painting.state === "waiting" ? `Picture ${painting.number} is out of the line.` : "It stops after this iteration.");
    }
  } catch (error) {
    failed("stage-error", error);
  }
}
for (const one of byId("actions").querySelectorAll("button")) {
  one.addEventListener("click", () => act(paintings.get(shown), one.dataset.action));
}

byId("live-weight").addEventListener("input", () => showFactor("live-weight"));
byId("steer").addEventListener("submit", async event => {
  event.preventDefault();
  const painting = paintings.get(shown);
  byId("stage-error").textContent = "";
  try {
    const beta = 2 ** byId("live-weight").value * usualBeta(painting.order.init);
    await ask("POST", `/api/paintings/${painting.number}/weight`, { beta_per_pixel: beta });
    tell("The style weight changes after this iteration.");
  } catch (error) {
    failed("stage-error", error);
  }
});

// The list

const cards = new Map(); // elements of the list, by number

function makeCard(number) {
  const card = document.createElement("li"), show = document.createElement("button"), image = document.createElement("img");
  const empty = document.createElement("span"), what = document.createElement("p"), how = document.createElement("p"), all = document.createElement("div");
  show.type = "button";
  show.className = "show";
  image.alt = "";
  image.loading = "lazy";
  empty.className = "empty";
  show.append(image, empty);
  show.addEventListener("click", () => { select(number); byId("stage-title").scrollIntoView({ block: "nearest" }); });
  what.className = "what";
  how.className = "how";
  all.className = "do";
  const againButton = button("Again", () => act(paintings.get(number), "again"), `Again: picture ${number}`);
  const more = button("More like this", () => act(paintings.get(number), "more"), `More like this: picture ${number}`);
  const out = button("Take out of the line", () => act(paintings.get(number), "stop"), `Take out of the line: picture ${number}`);
  all.append(againButton, more, out);
  card.append(show, what, how, all);
  return Object.assign(card, { parts: { show, image, empty, what, how, againButton, more, out } });
}

function showList() {
  byId("made").hidden = paintings.size === 0;
  for (const number of cards.keys()) {
    if (!paintings.has(number)) { cards.get(number).remove(); cards.delete(number); }
  }
  for (const number of [...paintings.keys()].sort((a, b) => a - b)) {
    if (!cards.has(number)) {
      cards.set(number, makeCard(number));
      byId("list").prepend(cards.get(number)); // the latest first
    }
    const painting = paintings.get(number), { show, image, empty, what, how, againButton, more, out } = cards.get(number).parts;
    const isLive = painting.state === "painting" && live?.number === number && live.has_picture;
    const hasSmall = painting.has_small || isLive;
    image.hidden = !hasSmall;
    if (hasSmall && !isLive && image.getAttribute("src") !== smallOfPainting(painting)) image.src = smallOfPainting(painting);
    if (isLive && !image.getAttribute("src")) image.src = smallOfPainting(painting);
    empty.hidden = hasSmall;
    empty.textContent = STATES[painting.state];
    what.textContent = `${number}, ${stateOf(painting)}`;
    how.textContent = settingsOf(painting);
    show.setAttribute("aria-label", `Show picture ${number}: ${titleOf(painting)}, ${stateOf(painting)}`);
    show.setAttribute("aria-current", String(number === shown));
    againButton.hidden = painting.state === "waiting";
    more.hidden = !["finished", "stopped"].includes(painting.state);
    out.hidden = painting.state !== "waiting";
  }
}

function showAll() {
  const focused = document.activeElement;
  showStage();
  showList();
  showTitle();
  // What had the focus may be gone: a button that makes no sense any more.
  const isGone = focused && focused !== document.body && !focused.checkVisibility();
  if (isGone) byId("stage-title").focus({ preventScroll: true });
}

function showTitle() {
  const painting = paintings.get(live?.number);
  document.title = painting?.state === "painting"
    ? `${Math.round(100 * live.count / painting.iterations)} % · nnstyle studio` : "nnstyle studio";
}

// News

function takeList(news) {
  const isThere = paintings.has(shown), before = paintings.get(shown)?.state;
  line = news.line;
  const numbers = new Set(news.numbers);
  let isNew = false;
  for (const painting of news.changed) {
    const names = [painting.order.content, painting.order.mask, painting.order.init, ...painting.order.styles.map(one => one.picture)];
    isNew ||= names.some(id => id && /^[0-9a-f]{64}$/.test(id) && !given.has(id));
    paintings.set(painting.number, painting);
  }
  for (const number of paintings.keys()) if (!numbers.has(number)) paintings.delete(number);
  if (isNew) fetchState().then(showAll); // another page has given pictures
  const wasLive = before === "painting";
  const next = wasLive && [...paintings.values()].find(one => one.follows === shown && !["finished", "failed"].includes(one.state));
  if (next && paintings.get(shown)?.state !== "painting") {
    tell(next.why);
    select(next.number);
    return;
  }
  if (isThere && !paintings.has(shown)) shown = null; // one that was just ordered may not be in the list yet
  if (!hasList && paintings.size) { // what is being painted, else the latest
    const all = [...paintings.values()];
    const first = all.find(one => one.state === "painting") || all[all.length - 1];
    hasList = true;
    select(first.number);
    return;
  }
  hasList = true;
  const painting = paintings.get(shown);
  if (wasLive && painting && painting.state !== "painting") {
    tell(`Picture ${shown} is ${stateOf(painting)}.`);
    fetchRecords(shown);
  }
  showAll();
}

function takeProgress(news) {
  const painting = paintings.get(news.number);
  if (!painting) return;
  const count = news.first + news.records.length;
  const last = news.records[news.records.length - 1];
  live = { ...news, count, size: last ? last[1] : live?.size };
  painting.version = news.version;
  painting.iteration = count;
  painting.seconds = news.seconds;
  if (shown === news.number) {
    if (news.first <= records.length) records = [...records.slice(0, news.first), ...news.records];
    else fetchRecords(shown);
    showImages(painting);
    if (performance.now() - drawnAt > 700) showCurves();
  }
  const card = cards.get(news.number);
  if (news.has_picture && card?.parts.image.hidden) showList();
  showTitle();
}

async function fetchState() {
  server = await ask("GET", "/api/state");
  for (const picture of server.pictures) given.set(picture.id, picture);
}

let stream = null;

function listen() {
  if (stream || isGone) return;
  stream = new EventSource("/api/events");
  stream.addEventListener("open", () => { byId("connection").textContent = ""; });
  stream.addEventListener("list", event => takeList(JSON.parse(event.data)));
  stream.addEventListener("progress", event => takeProgress(JSON.parse(event.data)));
  stream.addEventListener("closing", () => {
    isGone = true;
    stream.close();
    byId("connection").textContent = "The server has ended. Start it again, and open the address that it prints.";
  });
  stream.addEventListener("error", () => {
    byId("connection").textContent = stream?.readyState === EventSource.CLOSED
      ? "Not connected: open the address that the server has printed last, or close some of its pages." : "Not connected. Trying again …";
  });
}

// A browser keeps few connections to one server: pages that nobody sees leave theirs to others.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) { stream?.close(); stream = null; } else listen();
});

async function begin() {
  history.replaceState(null, "", "/"); // the token is in a cookie from now on
  try {
    await fetchState();
  } catch (error) {
    byId("connection").textContent = error.message;
    return;
  }
  recall();
  byId("more").open = matchMedia("(min-width: 56rem)").matches;
  showPaintings();
  showForm();
  listen();
}
begin();
