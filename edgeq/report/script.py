"""The page's script: sorting tables and showing what a point is. The page is complete without it."""

SCRIPT = """
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

const tip = document.createElement("div");
tip.id = "tip";
tip.hidden = true;
document.body.append(tip);
for (const point of document.querySelectorAll("[data-tip]")) {
  point.querySelector("title").remove();
  point.addEventListener("pointerenter", () => {
    tip.textContent = point.dataset.tip;
    tip.hidden = false;
    const mark = point.querySelector(".mark").getBoundingClientRect();
    const left = Math.min(mark.left, document.documentElement.clientWidth - tip.offsetWidth - 8);
    tip.style.left = `${Math.max(8, left)}px`;
    const above = mark.top - tip.offsetHeight - 8;
    tip.style.top = `${above > 0 ? above : mark.bottom + 8}px`;
  });
  point.addEventListener("pointerleave", () => { tip.hidden = true; });
}
"""
