// The pad: ink from mouse, pen or finger, and the guesses. layers.js shows what happened in between.
import { Layers } from "./layers.js";

const about = await (await fetch("about")).json();
const $ = (id) => document.getElementById(id);
const pad = $("pad"), pen = pad.getContext("2d", { willReadFrequently: true });
pad.width = pad.height = about.side;
pen.lineCap = pen.lineJoin = "round";
pen.strokeStyle = pen.fillStyle = "#fff";
const past = []; // pictures to go back to
let erasing = false, last = null, pointer = null;

const percent = (p) => (p >= 0.9995 ? "> 99.9%" : p < 0.0005 ? "< 0.1%" : `${(100 * p).toFixed(1)}%`);
$("about").textContent =
  `${about.title}: ${about.parameters.toLocaleString("en")} parameters, ${percent(about.accuracy)} on its test data`;

function ink() {
  const pixels = pen.getImageData(0, 0, about.side, about.side).data;
  return Uint8Array.from({ length: about.side ** 2 }, (_, i) => pixels[4 * i + 3]);
}

// Questions: the newest drawing is sent when the answer to the one before has come; those between are skipped.
let asking = false, again = false;
async function look() {
  if (asking) return void (again = true);
  asking = true;
  try {
    do {
      again = false;
      const drawing = ink();
      const answer = await ask("look", drawing);
      guess(answer.guesses);
      layers.show(answer.layers, drawing);
      see(layers.values[0], answer.layers[0].shape);
    } while (again);
  } finally {
    asking = false;
  }
}

async function ask(where, drawing) {
  try {
    const reply = await fetch(where, { method: "POST", body: drawing });
    if (!reply.ok) throw new Error(await reply.text());
    $("trouble").hidden = true;
    return await reply.json();
  } catch (error) {
    $("trouble").textContent = `No answer from rlrun: does it still run? (${error.message})`;
    $("trouble").hidden = false;
    throw error;
  }
}

function guess(guesses) {
  for (const [id, place] of [["first", 0], ["second", 1]]) {
    const found = guesses?.[place], box = $(id);
    box.dataset.name = found?.name ?? "";
    box.textContent = found?.name ?? "–";
    if (found) box.append(Object.assign(document.createElement("small"), { textContent: percent(found.p) }));
  }
  const places = new Map(guesses?.map((one, place) => [one.name, { ...one, place }]));
  for (const bar of $("bars").children) {
    const found = places.get(bar.dataset.name);
    bar.className = `bar ${["first", "second"][found?.place] ?? ""}`;
    bar.querySelector("b").style.width = `${100 * (found?.p ?? 0)}%`;
    bar.lastChild.textContent = found ? percent(found.p) : "";
  }
}

function see(values, [channels, height, width]) {
  const seen = $("seen"), brush = seen.getContext("2d");
  seen.width = width;
  seen.height = height;
  const image = brush.createImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = 255 * values[i + (channels === 3 ? c * width * height : 0)];
    image.data[4 * i + 3] = 255;
  }
  brush.putImageData(image, 0, 0);
}

// Strokes

function at(event) {
  const box = pad.getBoundingClientRect();
  return [((event.clientX - box.left) * about.side) / box.width, ((event.clientY - box.top) * about.side) / box.height];
}

function stroke(to) {
  pen.globalCompositeOperation = erasing ? "destination-out" : "source-over";
  pen.lineWidth = Number($("width").value);
  pen.beginPath();
  pen.moveTo(...(last ?? to));
  pen.lineTo(...to);
  pen.stroke(); // a line without length is a dot
  last = to;
}

function remember() {
  past.push(pen.getImageData(0, 0, about.side, about.side));
  if (past.length > 50) past.shift();
  $("undo").disabled = $("clear").disabled = false;
}

pad.addEventListener("pointerdown", (event) => {
  if (event.button || pointer !== null) return;
  event.preventDefault();
  pointer = event.pointerId;
  pad.setPointerCapture(pointer);
  remember();
  stroke(at(event));
  look();
});
pad.addEventListener("pointermove", (event) => {
  if (event.pointerId !== pointer) return;
  const between = event.getCoalescedEvents?.() ?? [];
  for (const one of between.length ? between : [event]) stroke(at(one));
  look();
});
for (const end of ["pointerup", "pointercancel", "lostpointercapture"])
  pad.addEventListener(end, (event) => {
    if (event.pointerId === pointer) pointer = last = null;
  });

function undo() {
  if (!past.length) return;
  pen.putImageData(past.pop(), 0, 0);
  $("undo").disabled = !past.length;
  $("clear").disabled = ink().every((amount) => !amount);
  look();
}

function clear() {
  remember();
  pen.clearRect(0, 0, about.side, about.side);
  $("clear").disabled = true;
  look();
}

function choose(eraser) {
  erasing = eraser;
  $("pen").setAttribute("aria-pressed", !eraser);
  $("eraser").setAttribute("aria-pressed", eraser);
}

function dot() {
  const size = `${$("width").value}px`;
  Object.assign($("dot").style, { width: size, height: size });
}

$("pen").onclick = () => choose(false);
$("eraser").onclick = () => choose(true);
$("undo").onclick = undo;
$("clear").onclick = clear;
$("width").oninput = dot;
document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key === "z") undo();
  else if (event.ctrlKey || event.metaKey || event.altKey) return;
  else if (event.key === "p") choose(false);
  else if (event.key === "e") choose(true);
  else if (event.key === "Delete" && !$("clear").disabled) clear();
  else return;
  event.preventDefault();
});

for (const name of about.classes) {
  const bar = document.createElement("div");
  bar.dataset.name = name;
  bar.append(document.createElement("span"), document.createElement("i"), document.createElement("span"));
  bar.firstChild.textContent = name;
  bar.children[1].append(document.createElement("b"));
  $("bars").append(bar);
}
const layers = new Layers((drawing, layer, unit) => ask(`neuron?layer=${layer}&unit=${unit}`, drawing), about.classes);
dot();
await look();
document.body.dataset.ready = "yes";
