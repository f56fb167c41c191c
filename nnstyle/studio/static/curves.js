// The losses of a painting as curves, drawn as SVG: a logarithmic axis, a dashed line at each change of scale.
const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 190;
const MOST_POINTS = 400;
const LEFT = 58, RIGHT = 64, TOP = 20, BOTTOM = 38;

function element(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function powers(low, high) {
  const found = [];
  for (let power = Math.ceil(low); power <= Math.floor(high); power++) found.push(power);
  const step = Math.ceil(found.length / 5);
  return found.filter((_, i) => i % step === 0);
}

const SUPERSCRIPTS = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };
const raised = power => "10" + [...String(power)].map(letter => SUPERSCRIPTS[letter]).join("");

// records: rows of iteration, size, content loss, style loss, whole loss.
export function drawCurves(place, records, iterations) {
  const width = Math.max(280, place.clientWidth);
  const positive = records.flatMap(row => [row[2], row[3]]).filter(loss => loss > 0).map(Math.log10);
  if (positive.length === 0) { place.replaceChildren(); return; }
  let low = Math.min(...positive), high = Math.max(...positive);
  const middle = (low + high) / 2, half = Math.max((high - low) / 2, 0.6) * 1.08;
  [low, high] = [middle - half, middle + half];
  const x = iteration => LEFT + (width - LEFT - RIGHT) * (iteration - 1) / Math.max(1, iterations - 1);
  const y = loss => TOP + (HEIGHT - TOP - BOTTOM) * (high - Math.log10(loss)) / (high - low);
  const last = records[records.length - 1];
  const drawing = element("svg", {
    viewBox: `0 0 ${width} ${HEIGHT}`, height: HEIGHT, role: "img",
    "aria-label": `After iteration ${last[0]} the content loss is ${last[2].toPrecision(3)} and the style loss ${last[3].toPrecision(3)}, `
      + "both times their weights.",
  });
  const floor = HEIGHT - BOTTOM;
  drawing.append(element("line", { class: "axis", x1: LEFT, x2: width - RIGHT, y1: floor, y2: floor }));
  drawing.append(element("line", { class: "axis", x1: LEFT, x2: LEFT, y1: TOP, y2: floor }));
  for (const power of powers(low, high)) {
    drawing.append(element("text", { x: LEFT - 8, y: y(10 ** power) + 4, "text-anchor": "end" }, raised(power)));
  }
  for (const iteration of new Set([1, Math.round(iterations / 2), iterations])) {
    drawing.append(element("text", { x: x(iteration), y: floor + 16, "text-anchor": "middle" }, iteration));
  }
  drawing.append(element("text", { x: (LEFT + width - RIGHT) / 2, y: HEIGHT - 4, "text-anchor": "middle" }, "iteration"));
  drawing.append(element("text", { x: 0, y: 11 }, "loss, times its weight"));

  const starts = records.filter((row, i) => i === 0 || row[1] !== records[i - 1][1]);
  let free = 0; // names of scales that would lie on each other are left out
  for (const row of starts) {
    const place = x(row[0]);
    if (row !== starts[0]) drawing.append(element("line", { class: "scale", x1: place, x2: place, y1: TOP, y2: floor }));
    if (place >= free && starts.length > 1 && place + 48 < width) {
      drawing.append(element("text", { x: place + 4, y: floor - 5 }, `${row[1]} px`));
      free = place + 56;
    }
  }
  const step = Math.ceil(records.length / MOST_POINTS);
  const ends = [];
  for (const [column, name] of [[2, "content"], [3, "style"]]) {
    let path = "", size = null;
    for (const [i, row] of records.entries()) {
      if (!(row[column] > 0) || (i % step !== 0 && row !== last && row[1] === size)) continue;
      path += `${row[1] === size ? "L" : "M"}${x(row[0]).toFixed(1)} ${y(row[column]).toFixed(1)}`;
      size = row[1];
    }
    drawing.append(element("path", { class: name, d: path }));
    if (last[column] > 0) ends.push({ name, y: y(last[column]) });
  }
  ends.sort((a, b) => a.y - b.y);
  if (ends.length === 2 && ends[1].y - ends[0].y < 15) {
    const centre = (ends[0].y + ends[1].y) / 2;
    ends[0].y = centre - 7.5;
    ends[1].y = centre + 7.5;
  }
  for (const { name, y } of ends) {
    drawing.append(element("text", { class: name, x: x(last[0]) + 7, y: y + 4 }, name));
  }
  place.replaceChildren(drawing);
}
