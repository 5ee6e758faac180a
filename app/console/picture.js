// Takes pictures in, and shows them with what was found in them.

import { button, drawn, element, field } from "./dom.js";

export const TYPES = "image/png,image/jpeg";
const MOST_BYTES = 3_000_000;
const SMALLER_SIDE = 2048;
const SHOWN_SIDE = 1600;
const QUALITY = 0.92;

// A file or an address as what the pages keep: `bitmap` is missing where it cannot be shown.
export async function fromFile(file) {
  let bitmap = null;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    // The server says what is wrong with it.
  }
  return { file, name: file.name || "picture", bitmap, width: bitmap?.width ?? 4, height: bitmap?.height ?? 3 };
}

export function fromUrl(url) {
  return { url, name: url, bitmap: null, width: 4, height: 3 };
}

// The form fields of a picture. A file too large for the API is made smaller first.
export async function sent(picture, prefix) {
  if (picture.url) return { [`${prefix}Url`]: picture.url };
  const blob = await small(picture);
  return { [`${prefix}File`]: { blob, name: picture.name } };
}

async function small(picture) {
  if (picture.file.size <= MOST_BYTES || !picture.bitmap) return picture.file;
  const canvas = copied(picture, SMALLER_SIDE);
  return new Promise((done) => canvas.toBlob(done, "image/jpeg", QUALITY));
}

export function isShrunk(picture) {
  return Boolean(picture?.file && picture.bitmap && picture.file.size > MOST_BYTES);
}

function copied({ bitmap, width, height }, side) {
  const scale = Math.min(1, side / Math.max(width, height));
  const canvas = element("canvas", { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) });
  if (bitmap) canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return canvas;
}

// Where pictures are dropped, chosen, pasted (see main.js) or named by address.
export function intake(app, { label, many = false, url = true, onfiles, onurl }) {
  const files = element("input", {
    type: "file", accept: TYPES, multiple: many, class: "unseen", "aria-label": label,
    onchange: () => (onfiles([...files.files]), (files.value = "")),
  });
  const zone = element(
    "div",
    {
      class: "drop",
      ondragover: (event) => (event.preventDefault(), zone.classList.add("over")),
      ondragleave: () => zone.classList.remove("over"),
      ondrop: (event) => {
        event.preventDefault();
        zone.classList.remove("over");
        const dropped = [...event.dataTransfer.files];
        if (dropped.length) onfiles(many ? dropped : dropped.slice(0, 1));
      },
    },
    element("label", { class: "pick" }, files, element("span", { class: "button" }, many ? app.t("choose_files") : app.t("choose_file"))),
    element("span", { class: "hint" }, many ? app.t("or_drop_many") : app.t("or_drop")),
  );
  return element("div", { class: "intake" }, zone, url && address(app, onurl));
}

function address(app, onurl) {
  const input = element("input", { type: "url", inputmode: "url", placeholder: "https://", autocomplete: "off", required: true });
  return element(
    "form",
    { class: "row", onsubmit: (event) => (event.preventDefault(), onurl(input.value.trim())) },
    field(app.t("or_url"), input),
    element("button", { type: "submit" }, app.t("use")),
  );
}

// A picture with its faces. `marks` are {box, points, turn, label, kind}; `chosen` is one's number.
export function canvas(app, picture, marks = [], { chosen = null, onchoose = null } = {}) {
  const { width, height } = picture;
  const layer = drawn("svg", {
    viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img",
    "aria-label": app.t("faces_found", { n: marks.length }),
  });
  const shown = copied(picture, SHOWN_SIDE);
  const frame = element("div", { class: "frame" }, shown, layer, !picture.bitmap && element("p", { class: "over" }, app.t("not_shown")));
  if (!picture.bitmap) shown.classList.add("blank");
  const draw = () => {
    const unit = width / (frame.clientWidth || width);
    layer.replaceChildren(...marks.map((mark, at) => face(mark, at, { width, height, unit, chosen: chosen === at, onchoose })));
  };
  new ResizeObserver(draw).observe(frame);
  return frame;
}

function face({ box, points = [], turn, label = [], kind = "" }, at, { width, height, unit, chosen, onchoose }) {
  const left = box.x0 * width, top = box.y0 * height;
  const wide = (box.x1 - box.x0) * width, high = (box.y1 - box.y0) * height;
  return drawn(
    "g",
    { class: `face ${kind} ${chosen ? "chosen" : ""}`, ...(onchoose && { onclick: () => onchoose(at) }) },
    drawn("rect", { class: "box", x: left, y: top, width: wide, height: high, rx: 3 * unit }),
    points.map(({ x, y }) => drawn("circle", { cx: x * width, cy: y * height, r: (chosen ? 3.5 : 2.5) * unit })),
    turn && axes(nose(points, box, width, height), turn, wide / 2),
    tag(label, left, top, high, { width, height, unit }),
  );
}

function nose(points, box, width, height) {
  const found = points.find(({ type }) => type === "nose") ?? { x: (box.x0 + box.x1) / 2, y: (box.y0 + box.y1) / 2 };
  return [found.x * width, found.y * height];
}

// Where the head's right, its chin and its nose point to: x is yaw to the picture's right edge,
// y pitch upwards, z roll clockwise.
function axes([x, y], turn, length) {
  const [yaw, pitch, roll] = [turn.x, turn.y, turn.z].map((degrees) => (degrees * Math.PI) / 180);
  const ends = [
    ["right", Math.cos(yaw), Math.sin(yaw) * Math.sin(pitch)],
    ["down", 0, Math.cos(pitch)],
    ["front", Math.sin(yaw), -Math.cos(yaw) * Math.sin(pitch)],
  ];
  return ends.map(([name, dx, dy]) =>
    drawn("line", {
      class: `axis ${name}`, x1: x, y1: y,
      x2: x + length * (dx * Math.cos(roll) - dy * Math.sin(roll)),
      y2: y + length * (dx * Math.sin(roll) + dy * Math.cos(roll)),
    }),
  );
}

const LINE = 15, PAD = 4, LETTER = 6.9;

// Lines of text under a box, or above it where there is no room; never beyond the picture.
function tag(lines, left, top, high, { width, height, unit }) {
  if (!lines.length) return null;
  const wide = (Math.max(...lines.map((line) => line.length)) * LETTER + 2 * PAD) * unit;
  const tall = (lines.length * LINE + PAD) * unit;
  const x = Math.max(0, Math.min(left, width - wide));
  const below = top + high + tall <= height;
  const y = below ? top + high : Math.max(0, top - tall);
  return drawn(
    "g",
    { class: "tag" },
    drawn("rect", { x, y, width: wide, height: tall, rx: 2 * unit }),
    lines.map((line, at) =>
      drawn("text", { x: x + PAD * unit, y: y + ((at + 1) * LINE - PAD / 2) * unit, "font-size": 12 * unit }, line)),
  );
}

// A face cut out of its picture, for lists.
export function thumbnail(picture, box, side = 48) {
  const made = element("canvas", { width: side * 2, height: side * 2, class: "thumb", "aria-hidden": "true" });
  if (!picture.bitmap) return made;
  const { width, height } = picture;
  const span = Math.max((box.x1 - box.x0) * width, (box.y1 - box.y0) * height) * 1.2;
  const x = ((box.x0 + box.x1) / 2) * width - span / 2, y = ((box.y0 + box.y1) / 2) * height - span / 2;
  made.getContext("2d").drawImage(picture.bitmap, x, y, span, span, 0, 0, made.width, made.height);
  return made;
}

export function preview(app, picture, onclear) {
  return element("div", { class: "bar" }, element("span", { class: "name" }, picture.name), isShrunk(picture) && element("span", { class: "hint" }, app.t("made_smaller")), onclear && button(app.t("another"), onclear, { class: "small" }));
}
