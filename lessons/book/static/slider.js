// Pictures chosen by two sliders: see slider.py. Without this script they are a table.
for (const [number, choices] of document.querySelectorAll(".slider .choices").entries()) {
  const pictures = [...choices.querySelectorAll("img")];
  const names = { row: choices.dataset.rows.split("|"), column: choices.dataset.columns.split("|") };
  const chosen = { row: Number(choices.dataset.row), column: Number(choices.dataset.column) };

  const show = () => {
    const index = chosen.row * names.column.length + chosen.column;
    pictures.forEach((picture, i) => { picture.hidden = i !== index; });
    pictures[index].loading = "eager";
  };

  const controls = document.createElement("div");
  controls.className = "controls";
  for (const [kind, text] of [["row", choices.dataset.rowsLabel], ["column", choices.dataset.columnsLabel]]) {
    const control = document.createElement("div");
    const label = document.createElement("label");
    const range = document.createElement("input");
    const value = document.createElement("output");
    label.htmlFor = range.id = `slider-${number}-${kind}`;
    label.textContent = text;
    Object.assign(range, { type: "range", min: 0, max: names[kind].length - 1, step: 1, value: chosen[kind] });
    const choose = () => {
      chosen[kind] = Number(range.value);
      value.textContent = names[kind][chosen[kind]];
      range.setAttribute("aria-valuetext", value.textContent);
      show();
    };
    range.addEventListener("input", choose);
    control.append(label, " ", value, range);
    controls.append(control);
    choose();
  }
  choices.classList.add("alive");
  choices.after(controls);
}
