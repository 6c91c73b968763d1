// The layers: activations as pictures and cells, each shown or hidden; what comes into the neuron that is pointed at.
const GAP = 3, MAP = 56, CELL = 15, SVG = "http://www.w3.org/2000/svg";
const $ = (id) => document.getElementById(id);

function numbers(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Float32Array(bytes.buffer);
}

// White is 0; blue above, orange below, as on rlrun's other pictures; darkest at the layer's largest magnitude.
const BLUE = [[255, 255, 255], [37, 99, 201], [18, 68, 156]], ORANGE = [[255, 255, 255], [224, 102, 60], [184, 67, 28]];
function color(share) {
  const [low, middle, high] = share < 0 ? ORANGE : BLUE, size = Math.min(1, Math.abs(share)) * 2;
  const [from, to, part] = size < 1 ? [low, middle, size] : [middle, high, size - 1];
  return from.map((start, c) => start + (to[c] - start) * part);
}
const PALETTE = Array.from({ length: 511 }, (_, i) => color((i - 255) / 255));

const round = (x) => (x === 0 ? "0" : Math.abs(x) >= 0.001 && Math.abs(x) < 1e5 ? x.toFixed(3) : x.toExponential(1))
  .replace("-", "−");

// Where the units of one layer lie on its canvas, in CSS pixels: maps side by side, or a row of cells.
class Layout {
  constructor(shape, room) {
    this.maps = shape.length === 3 ? shape[0] : 0;
    if (this.maps) {
      [this.height, this.width] = shape.slice(1);
      this.scale = Math.max(1, Math.floor(MAP / Math.max(this.height, this.width)));
      if (this.maps <= 3) this.scale *= 2; // few maps, as the input's: larger
      this.stepX = this.width * this.scale + GAP;
      this.stepY = this.height * this.scale + GAP;
    } else {
      this.count = shape.reduce((a, b) => a * b, 1);
      this.height = this.width = 1;
      this.scale = this.count <= 20 ? 26 : CELL;
      this.stepX = this.stepY = this.scale + 2;
    }
    const tiles = this.maps || this.count;
    this.columns = Math.max(1, Math.min(tiles, Math.floor((room + GAP) / this.stepX)));
    this.size = [this.columns * this.stepX, Math.ceil(tiles / this.columns) * this.stepY];
    this.tiles = tiles;
  }

  corner(tile) {
    return [(tile % this.columns) * this.stepX, Math.floor(tile / this.columns) * this.stepY];
  }

  unitAt(x, y) {
    const column = Math.floor(x / this.stepX), line = Math.floor(y / this.stepY);
    const tile = line * this.columns + column;
    const inX = Math.floor((x - column * this.stepX) / this.scale), inY = Math.floor((y - line * this.stepY) / this.scale);
    if (column < 0 || column >= this.columns || tile < 0 || tile >= this.tiles) return null;
    if (inX < 0 || inY < 0 || inX >= this.width || inY >= this.height) return null;
    return tile * this.width * this.height + inY * this.width + inX;
  }

  middle(unit) {
    const area = this.width * this.height, [x, y] = this.corner(Math.floor(unit / area)), within = unit % area;
    return [x + ((within % this.width) + 0.5) * this.scale, y + (Math.floor(within / this.width) + 0.5) * this.scale];
  }

  place(unit) {
    if (!this.maps) return `${unit}`;
    const area = this.width * this.height, within = unit % area;
    const spot = `row ${Math.floor(within / this.width)}, column ${within % this.width}`;
    return this.maps > 1 ? `map ${Math.floor(unit / area)}, ${spot}` : spot;
  }
}

export class Layers {
  constructor(ask, classes) {
    this.ask = ask; // (drawing, layer, unit) -> promise of what comes into a neuron
    this.classes = classes;
    this.parts = []; // {section, canvas, layout, chip} for each layer
    this.values = [];
    this.hidden = new Set();
    this.pointed = null; // {layer, unit, x, y}
    this.turn = 0;
    addEventListener("resize", () => this.arrange());
    addEventListener("scroll", () => this.leave(), { passive: true });
  }

  show(layers, drawing) {
    this.drawing = drawing;
    this.layers = layers;
    this.values = layers.map((layer) => numbers(layer.values));
    if (this.parts.length !== layers.length) this.build();
    for (let number = 0; number < layers.length; number++) this.paint(number);
    if (this.pointed) this.point(this.pointed);
  }

  build() {
    $("layers").replaceChildren();
    $("chips").replaceChildren();
    this.parts = this.layers.map((layer, number) => {
      const section = document.createElement("section"), canvas = document.createElement("canvas");
      const head = document.createElement("h3"), note = document.createElement("span");
      section.className = "layer";
      section.dataset.layer = layer.name;
      head.textContent = number ? `${number}. ${layer.kind}` : layer.kind;
      const size = layer.shape.length === 3 ? `${layer.shape[0]} of ${layer.shape.slice(1).join(" × ")}` : `${layer.shape[0]} neurons`;
      note.textContent = layer.name.includes(".") ? `${size} · ${layer.name}` : size;
      head.append(note);
      section.append(head, canvas);
      $("layers").append(section);
      canvas.onmousemove = (event) => this.pointAt(number, event);
      canvas.onclick = (event) => this.pointAt(number, event); // a tap
      canvas.onmouseleave = () => this.leave();
      const chip = this.chip(number ? `${number}. ${layer.kind}` : "input", () =>
        this.setVisible([number], this.hidden.has(number)));
      chip.title = layer.name;
      chip.setAttribute("aria-pressed", "true");
      return { section, canvas, chip };
    });
    const all = this.layers.map((_, number) => number);
    this.chip("all", () => this.setVisible(all, true));
    this.chip("none", () => this.setVisible(all, false));
    this.arrange();
  }

  chip(text, pressed) {
    const chip = document.createElement("button");
    chip.textContent = text;
    chip.onclick = pressed;
    $("chips").append(chip);
    return chip;
  }

  setVisible(numbers, visible) {
    for (const number of numbers) {
      visible ? this.hidden.delete(number) : this.hidden.add(number);
      this.parts[number].section.hidden = !visible;
      this.parts[number].chip.setAttribute("aria-pressed", visible);
      this.paint(number);
    }
    this.leave();
  }

  arrange() {
    const room = $("layers").clientWidth - 30;
    this.parts.forEach((part, number) => {
      part.layout = new Layout(this.layers[number].shape, room);
      const [width, height] = part.layout.size;
      Object.assign(part.canvas, { width, height });
      Object.assign(part.canvas.style, { width: `${width}px`, height: `${height}px` });
      this.paint(number);
    });
    this.leave();
  }

  paint(number) {
    if (this.hidden.has(number)) return;
    const { canvas, layout } = this.parts[number], values = this.values[number];
    const brush = canvas.getContext("2d"), image = brush.createImageData(canvas.width, canvas.height);
    const pixels = new Uint32Array(image.data.buffer), area = layout.width * layout.height;
    let largest = 1e-9;
    for (const value of values) largest = Math.max(largest, Math.abs(value));
    const grey = this.layers[number].name === "input";
    for (let unit = 0; unit < values.length; unit++) {
      const share = Math.round((255 * values[unit]) / largest);
      const [r, g, b] = grey ? Array(3).fill(Math.round(255 * values[unit])) : PALETTE[share + 255];
      const [left, top] = layout.corner(Math.floor(unit / area)), within = unit % area;
      const x = left + (within % layout.width) * layout.scale, y = top + Math.floor(within / layout.width) * layout.scale;
      const word = (255 << 24) | (b << 16) | (g << 8) | r;
      for (let line = y; line < y + layout.scale; line++)
        pixels.fill(word, line * canvas.width + x, line * canvas.width + x + layout.scale);
    }
    brush.putImageData(image, 0, 0);
    if (!grey) {
      brush.strokeStyle = "#dfe4ea"; // a frame round every map or cell, so that white ones are seen
      for (let tile = 0; tile < layout.tiles; tile++) {
        const [x, y] = layout.corner(tile);
        brush.strokeRect(x + 0.5, y + 0.5, layout.width * layout.scale - 1, layout.height * layout.scale - 1);
      }
    }
    if (this.layers[number].name === "output" && layout.tiles <= 20) {
      brush.textAlign = "center";
      brush.textBaseline = "middle";
      brush.font = "12px system-ui, sans-serif";
      for (let tile = 0; tile < layout.tiles; tile++) {
        brush.fillStyle = values[tile] / largest > 0.3 ? "#fff" : "#1f2733";
        brush.fillText(this.classes[tile].slice(0, 3), ...layout.middle(tile));
      }
    }
  }

  pointAt(layer, event) {
    const box = this.parts[layer].canvas.getBoundingClientRect();
    const unit = this.parts[layer].layout.unitAt(event.clientX - box.left, event.clientY - box.top);
    if (unit === null) return this.leave();
    const same = this.pointed?.layer === layer && this.pointed.unit === unit;
    this.pointed = { layer, unit, x: event.clientX, y: event.clientY };
    if (same) this.put();
    else this.point(this.pointed);
  }

  leave() {
    this.pointed = null;
    this.turn++;
    $("info").hidden = true;
    $("wires").replaceChildren();
  }

  async point({ layer, unit }) {
    const turn = ++this.turn;
    const found = await this.ask(this.drawing, layer, unit);
    if (turn !== this.turn) return; // the mouse has gone on
    this.tell(layer, unit, found);
    this.wire(layer, unit, found.connections);
    this.put();
  }

  title(layer, unit) {
    const { name, kind } = this.layers[layer];
    const last = name === "output" || this.values[layer].length === this.classes.length && layer === this.layers.length - 2;
    return `${kind}, ${last ? `class ${this.classes[unit]}` : this.parts[layer].layout.place(unit)}`;
  }

  tell(layer, unit, found) {
    const info = $("info"), heading = document.createElement("div"), value = document.createElement("strong");
    heading.textContent = this.title(layer, unit);
    value.textContent = round(found.value);
    info.replaceChildren(heading, value);
    if (found.before !== null) {
      const given = document.createElement("div");
      given.textContent = `of ${round(found.before)}, what the layer before says`;
      info.append(given);
    } else if (found.connections.length) info.append(this.sum(layer, found));
    info.hidden = false;
  }

  sum(layer, { connections, others, rest, value, affine }) {
    const table = document.createElement("table");
    const line = (cells, tag = "td") => {
      const row = table.insertRow();
      for (const text of cells) row.append(Object.assign(document.createElement(tag), { textContent: text }));
      return row;
    };
    line(["from", "input", affine ? "× weight" : "× slope", "="], "th");
    const named = connections.slice(0, 8), unnamed = connections.slice(8);
    for (const one of named)
      line([this.parts[one.step].layout.place(one.unit), round(one.value), round(one.weight), round(one.value * one.weight)]);
    const count = unnamed.length + others.count;
    if (count) line([`${count} others`, "", "", round(unnamed.reduce((s, one) => s + one.value * one.weight, others.sum))]);
    if (affine || Math.abs(rest) > 1e-6) line([affine ? "bias" : "not linear", "", "", round(rest)]);
    line(["sum", "", "", round(value)]).className = "sum";
    return table;
  }

  wire(layer, unit, connections) {
    const wires = $("wires");
    wires.replaceChildren();
    const [toX, toY] = this.spot(layer, unit);
    const strongest = Math.max(1e-9, ...connections.map((one) => Math.abs(one.value * one.weight)));
    for (const one of connections) {
      if (this.hidden.has(one.step) || one.value * one.weight === 0) continue;
      const [fromX, fromY] = this.spot(one.step, one.unit), strength = (one.value * one.weight) / strongest;
      const path = document.createElementNS(SVG, "path"), middle = (fromY + toY) / 2;
      path.setAttribute("d", `M${fromX} ${fromY}C${fromX} ${middle} ${toX} ${middle} ${toX} ${toY}`);
      path.setAttribute("fill", "none");
      path.setAttribute("stroke", strength > 0 ? "#2563c9" : "#e0663c");
      path.setAttribute("stroke-width", 0.6 + 2.4 * Math.abs(strength));
      path.setAttribute("stroke-opacity", 0.35 + 0.55 * Math.abs(strength));
      wires.append(path);
    }
    const ring = document.createElementNS(SVG, "circle");
    for (const [key, set] of Object.entries({ cx: toX, cy: toY, r: 6, fill: "none", stroke: "#1f2733", "stroke-width": 1.5 }))
      ring.setAttribute(key, set);
    wires.append(ring);
  }

  spot(layer, unit) {
    const box = this.parts[layer].canvas.getBoundingClientRect(), [x, y] = this.parts[layer].layout.middle(unit);
    return [box.left + x, box.top + y];
  }

  put() {
    const info = $("info"), { x, y } = this.pointed;
    const left = x + 18 + info.offsetWidth > innerWidth ? x - 18 - info.offsetWidth : x + 18;
    const top = Math.max(8, Math.min(y + 14, innerHeight - info.offsetHeight - 8));
    Object.assign(info.style, { left: `${Math.max(8, left)}px`, top: `${top}px` });
  }
}
