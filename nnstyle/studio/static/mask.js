// A mask that is drawn over the photograph, by mouse, pen, finger or keyboard. It resolves to a PNG, white where it is painted.
const byId = id => document.getElementById(id);
const dialog = byId("mask-dialog"), canvas = byId("mask"), brush = byId("brush"), erase = byId("erase");
const mask = document.createElement("canvas"); // white where it is painted, else transparent
const veil = document.createElement("canvas");
let photograph = null, cursor = { x: 0, y: 0 }, isDown = false, lastPoint = null, showsCursor = false;

const radius = () => Number(brush.value) / 100 * Math.max(canvas.width, canvas.height);

function draw() {
  const { width, height } = canvas;
  const shade = veil.getContext("2d");
  shade.globalCompositeOperation = "source-over";
  shade.clearRect(0, 0, width, height);
  shade.fillStyle = "rgba(12, 14, 18, 0.72)";
  shade.fillRect(0, 0, width, height);
  shade.globalCompositeOperation = "destination-out";
  shade.drawImage(mask, 0, 0);
  const context = canvas.getContext("2d");
  context.drawImage(photograph, 0, 0, width, height);
  context.drawImage(veil, 0, 0);
  if (!showsCursor) return;
  for (const [colour, line] of [["black", 4], ["white", 2]]) {
    context.beginPath();
    context.arc(cursor.x, cursor.y, radius(), 0, 2 * Math.PI);
    context.strokeStyle = colour;
    context.lineWidth = line * width / Math.max(1, canvas.clientWidth);
    context.setLineDash(isDown ? [] : [radius() / 3, radius() / 3]);
    context.stroke();
  }
}

function stroke(from, to) {
  const context = mask.getContext("2d");
  context.globalCompositeOperation = erase.checked ? "destination-out" : "source-over";
  context.strokeStyle = "white";
  context.lineCap = "round";
  context.lineWidth = 2 * radius();
  context.beginPath();
  context.moveTo(from.x, from.y);
  context.lineTo(to.x + 0.01, to.y); // a point is drawn, too
  context.stroke();
  byId("mask-error").textContent = ""; // there is something now
}

function place(event) {
  const box = canvas.getBoundingClientRect();
  return { x: (event.clientX - box.left) * canvas.width / box.width, y: (event.clientY - box.top) * canvas.height / box.height };
}

canvas.addEventListener("pointerdown", event => {
  canvas.setPointerCapture(event.pointerId);
  isDown = true;
  cursor = lastPoint = place(event);
  stroke(lastPoint, lastPoint);
  draw();
});
canvas.addEventListener("pointermove", event => {
  showsCursor = true;
  cursor = place(event);
  if (lastPoint) {
    stroke(lastPoint, cursor);
    lastPoint = cursor;
  }
  draw();
});
for (const name of ["pointerup", "pointercancel"]) {
  canvas.addEventListener(name, () => { lastPoint = null; isDown = false; draw(); });
}
canvas.addEventListener("pointerleave", () => { showsCursor = document.activeElement === canvas; draw(); });
canvas.addEventListener("focus", () => { showsCursor = true; draw(); });
canvas.addEventListener("blur", () => { showsCursor = isDown = false; draw(); });

const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
canvas.addEventListener("keydown", event => {
  const move = MOVES[event.key];
  if (move) {
    const from = cursor, step = radius() / 2;
    const within = (value, most) => Math.min(most, Math.max(0, value));
    cursor = { x: within(from.x + move[0] * step, canvas.width), y: within(from.y + move[1] * step, canvas.height) };
    if (isDown) stroke(from, cursor);
  } else if (event.key === " ") {
    isDown = !isDown;
    if (isDown) stroke(cursor, cursor);
  } else return;
  event.preventDefault();
  showsCursor = true;
  draw();
});
brush.addEventListener("input", draw);
byId("mask-clear").addEventListener("click", () => {
  mask.getContext("2d").clearRect(0, 0, mask.width, mask.height);
  draw();
});
byId("mask-invert").addEventListener("click", () => {
  const context = mask.getContext("2d");
  context.globalCompositeOperation = "xor";
  context.fillStyle = "white";
  context.fillRect(0, 0, mask.width, mask.height);
  draw();
});

const loaded = address => new Promise((resolve, reject) => {
  const image = new Image();
  image.onload = () => resolve(image);
  image.onerror = () => reject(new Error("the photograph cannot be shown"));
  image.src = address;
});

// Let the user draw; `keep` gets the mask as a Blob, and may throw: then the dialog stays open.
export async function drawMask(photoAddress, maskAddress, keep) {
  photograph = await loaded(photoAddress);
  for (const each of [canvas, mask, veil]) {
    each.width = photograph.naturalWidth;
    each.height = photograph.naturalHeight;
  }
  cursor = { x: canvas.width / 2, y: canvas.height / 2 };
  if (maskAddress) {
    const context = mask.getContext("2d");
    context.drawImage(await loaded(maskAddress), 0, 0, mask.width, mask.height);
    const pixels = context.getImageData(0, 0, mask.width, mask.height);
    for (let i = 0; i < pixels.data.length; i += 4) {
      pixels.data[i + 3] = pixels.data[i];
      pixels.data.fill(255, i, i + 3);
    }
    context.putImageData(pixels, 0, 0);
  }
  byId("mask-error").textContent = "";
  dialog.showModal();
  canvas.focus();
  draw();
  byId("mask-done").onclick = () => {
    const grey = document.createElement("canvas");
    grey.width = mask.width;
    grey.height = mask.height;
    const context = grey.getContext("2d");
    context.fillRect(0, 0, grey.width, grey.height);
    context.drawImage(mask, 0, 0);
    const isEmpty = !mask.getContext("2d").getImageData(0, 0, mask.width, mask.height).data.some(value => value);
    if (isEmpty) {
      byId("mask-error").textContent = "Nothing is drawn yet.";
      return;
    }
    grey.toBlob(async blob => {
      try {
        await keep(blob);
        dialog.close();
      } catch (error) {
        byId("mask-error").textContent = error.message;
      }
    }, "image/png");
  };
  byId("mask-cancel").onclick = () => dialog.close();
}
