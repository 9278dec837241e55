"""The page's own script: it sorts tables, draws the plots and hands out the records.

Without scripts the page still has every figure in its tables.
"""

TABLES = """
"use strict";

function sortBy(table, column, down) {
  const key = (row) => {
    const cell = row.cells[column];
    return "n" in cell.dataset ? Number(cell.dataset.n) : cell.tagName === "TH" || cell.classList.contains("text")
      ? cell.textContent : null;
  };
  const rows = [...table.tBodies[0].rows].sort((a, b) => {
    const [x, y] = [key(a), key(b)];
    if (x === null || y === null) return (x === null) - (y === null);
    const order = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y));
    return down ? -order : order;
  });
  table.tBodies[0].append(...rows);
}

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      sortBy(table, column, down);
    });
  });
}

function bytesOf(id) {
  const text = atob(document.getElementById(id).textContent);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

for (const button of document.querySelectorAll("button.download")) {
  button.addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([bytesOf("record-data")], { type: "application/gzip" }));
    link.download = button.dataset.name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
}
"""

PLOTS = """
const dark = matchMedia("(prefers-color-scheme: dark)");
const drawn = new Map();
let plots, themes;

// Vega-Lite can't place names so that none covers another; Vega itself can.
function placeNames(vega, ink) {
  const names = vega.marks.find((mark) => mark.name === "names_marks");
  if (!names) return vega;
  const size = { signal: "[width, height]" }, best = "datum.datum.rank";
  names.from = { data: "points_marks" };
  names.sort = { field: best, order: "descending" };
  names.encode = { update: {
    text: { field: "datum.label" }, fontSize: { value: 11 }, fill: { value: ink },
  } };
  const others = vega.marks.map((mark) => mark.name).filter((name) => name === "front_marks" || name === "bars_marks");
  names.transform = [{
    type: "label", size, sort: { field: best, order: "descending" }, padding: 8, avoidMarks: others,
    anchor: ["top-right", "right", "left", "top", "bottom", "bottom-left"], offset: [3, 5, 5, 4, 4, 3],
  }];
  return vega;
}

async function draw(box) {
  drawn.get(box)?.finalize();
  const { title, config, width, height, ...spec } = plots[box.dataset.plot];
  const theme = dark.matches ? themes.dark : themes.light;
  const columns = Math.max(1, Math.floor(box.clientWidth / 125));
  const shown = { ...spec, width: "container", height: box.clientWidth < 480 ? Math.min(height, 340) : height };
  shown.config = { ...theme, legend: { ...theme.legend, columns } };
  drawn.set(box, await vegaEmbed(box, shown, {
    mode: "vega-lite", renderer: "svg", ast: true, defaultStyle: false, forceActionsMenu: true,
    patch: (vega) => placeNames(vega, theme.text.color),
    actions: { export: true, source: false, compiled: false, editor: false },
    tooltip: { disableDefaultStyle: true }, downloadFileName: box.dataset.plot,
  }));
}

// With arrow keys from mark to mark, as with a pointer.
function walkable(box) {
  let at = null;
  const leave = () => at?.dispatchEvent(new MouseEvent("mouseout", { bubbles: true }));
  box.tabIndex = 0;
  box.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (event.key === "Escape") leave();
    if (!step || event.target !== box) return;
    event.preventDefault();
    const place = new Map([...box.querySelectorAll(".points_marks path, .points_marks > *")]
      .filter((mark) => mark.hasAttribute("aria-label")).map((mark) => [mark, mark.getBoundingClientRect()]));
    const marks = [...place.keys()].sort((a, b) => place.get(a).x - place.get(b).x);
    if (!marks.length) return;
    at = marks[(marks.indexOf(at) + step + marks.length) % marks.length];
    const { x, y, width, height } = place.get(at);
    const where = { bubbles: true, clientX: x + width / 2, clientY: y + height / 2 };
    at.dispatchEvent(new PointerEvent("pointermove", where));
    document.getElementById("said").textContent = at.getAttribute("aria-label");
  });
  box.addEventListener("blur", leave);
}

const near = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (entry.isIntersecting) {
      near.unobserve(entry.target);
      draw(entry.target);
    }
  }
}, { rootMargin: "600px" });

function prepare(root) {
  for (const box of root.querySelectorAll(".plot")) {
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", `${plots[box.dataset.plot].description} Arrow keys go from mark to mark.`);
    walkable(box);
    near.observe(box);
  }
}

function choose(select) {
  const stack = select.closest("figure").querySelector(".stack");
  for (const box of stack.querySelectorAll(".plot")) { drawn.get(box)?.finalize(); drawn.delete(box); }
  stack.replaceChildren(...select.value.split(" ").map((name) => {
    const [part, heading, box] = ["div", "h3", "div"].map((tag) => document.createElement(tag));
    heading.textContent = plots[name].title;
    box.className = "plot";
    box.dataset.plot = name;
    part.append(heading, box);
    return part;
  }));
  prepare(stack);
}

async function unpacked(id) {
  const stream = new Blob([bytesOf(id)]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).json();
}

async function begin() {
  ({ plots, themes } = await unpacked("plot-data"));
  prepare(document);
  for (const select of document.querySelectorAll("select")) {
    select.addEventListener("change", () => choose(select));
    choose(select);
  }
  dark.addEventListener("change", () => { for (const box of drawn.keys()) draw(box); });
}

if (document.getElementById("plot-data")) {
  begin().catch((problem) => {
    const line = document.createElement("p");
    line.className = "problem";
    line.textContent = `The plots can't be drawn in this browser (${problem}). The tables have all their figures.`;
    document.querySelector("header").append(line);
  });
}
"""

SCRIPT = f"{TABLES}{PLOTS}"
