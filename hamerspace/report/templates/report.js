"use strict";

// On a touch screen a drag scrolls the page instead of zooming into a figure.
const touch = matchMedia("(pointer: coarse)").matches;

for (const source of document.querySelectorAll("script[data-figure]")) {
  const figure = JSON.parse(source.textContent);
  if (touch) figure.layout.dragmode = false;
  Plotly.newPlot(source.dataset.figure, figure.data, figure.layout, {
    responsive: true,
    displayModeBar: false,
  });
}

// Paper is narrower than most screens: figures are drawn anew for it, and all details shown.
const PAPER_PX = 680;
const opened = [];
addEventListener("beforeprint", () => {
  for (const plot of document.querySelectorAll(".plot")) {
    Plotly.relayout(plot, { width: PAPER_PX, autosize: false });
  }
  for (const details of document.querySelectorAll(".reproduce details:not([open])")) {
    details.open = true;
    opened.push(details);
  }
});
addEventListener("afterprint", () => {
  for (const plot of document.querySelectorAll(".plot")) {
    Plotly.relayout(plot, { width: null, autosize: true });
  }
  for (const details of opened.splice(0)) details.open = false;
});

function sortValue(row, column) {
  const cell = row.cells[column];
  const text = cell.dataset.sort ?? cell.textContent.trim();
  if (text === "") return null;
  const number = Number(text);
  return Number.isNaN(number) ? text.toLowerCase() : number;
}

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), "en", { numeric: true });
}

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const body = table.tBodies[0];
      const rows = [...body.rows].map((row) => [sortValue(row, column), row]);
      rows.sort(([a], [b]) => {
        // What was not measured stays last in both directions.
        if (a === null || b === null) return (a === null) - (b === null);
        return down ? compare(b, a) : compare(a, b);
      });
      body.append(...rows.map(([, row]) => row));
    });
  });
}
