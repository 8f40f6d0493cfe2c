// Draws the figure of a run and asks for a finer one on zoom. Colours come from the CSS tokens, never from the server.
import Plotly from "plotly.js/lib/core";
import bar from "plotly.js/lib/bar";
import candlestick from "plotly.js/lib/candlestick";

Plotly.register([bar, candlestick]);

const ZOOM_DELAY_MS = 150;
const SERIES = [2, 3, 6, 1, 4, 5]; // the colours of equity, gain and loss come last
const CONFIG = {
  displaylogo: false,
  responsive: true,
  showSendToCloud: false,
  plotlyServerURL: "",
  modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d", "resetScale2d"],
  doubleClick: false,
  scrollZoom: false,
};

function readToken(name) {
  // A token may be light-dark(...): let the browser resolve it.
  const probe = document.createElement("span");
  probe.hidden = true;
  probe.className = `ink-${name}`;
  document.body.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}

function readTokens() {
  const names = ["text", "text-muted", "line", "surface", "gain", "loss", "accent", "bad"];
  for (let i = 1; i <= 6; i++) names.push(`series-${i}`);
  return Object.fromEntries(names.map((name) => [name, readToken(name)]));
}

function fade(colour, alpha) {
  return colour.replace(/^rgb\(/, "rgba(").replace(/\)$/, `, ${alpha})`);
}

function paintTrace(trace, ink) {
  const role = trace.meta?.role ?? "";
  const lines = { equity: ink.accent, benchmark: ink["text-muted"], drawdown: ink.loss };
  const marks = {
    "gain-mark": ink.gain,
    "loss-mark": ink.loss,
    "exit-win": ink.gain,
    "exit-loss": ink.loss,
    liquidation: ink.bad,
  };
  if (role === "candles") {
    trace.increasing = { line: { color: ink.gain, width: 1 }, fillcolor: ink.surface };
    trace.decreasing = { line: { color: ink.loss, width: 1 }, fillcolor: ink.loss };
  } else if (role in marks) {
    const edge = trace.marker.symbol.endsWith("-open") ? marks[role] : ink.surface;
    trace.marker = { ...trace.marker, color: marks[role], line: { ...trace.marker.line, color: edge } };
  } else if (role === "muted") {
    trace.marker = { color: ink["text-muted"] };
  } else if (role.startsWith("series")) {
    trace.line = { ...trace.line, color: ink[`series-${SERIES[Number(role.slice(6))]}`] };
  } else if (role in lines) {
    trace.line = { ...trace.line, color: lines[role] };
    if (trace.fill) trace.fillcolor = fade(lines[role], 0.18);
  }
}

function paintLayout(layout, ink) {
  const font = getComputedStyle(document.body).fontFamily;
  layout.font = { family: font, size: 12, color: ink["text-muted"] };
  layout.paper_bgcolor = layout.plot_bgcolor = "rgba(0,0,0,0)";
  layout.hoverlabel = { bgcolor: ink.surface, bordercolor: ink.line, font: { color: ink.text, family: font, size: 12 } };
  layout.legend = { ...layout.legend, font: { color: ink.text }, bgcolor: "rgba(0,0,0,0)" };
  layout.modebar = { bgcolor: "rgba(0,0,0,0)", color: ink["text-muted"], activecolor: ink.text, orientation: "h" };
  for (const [name, axis] of Object.entries(layout)) {
    if (!/^[xy]axis\d*$/.test(name)) continue;
    Object.assign(axis, { gridcolor: ink.line, zerolinecolor: ink.line, linecolor: ink.line });
    if (name === "xaxis") Object.assign(axis, { spikecolor: ink["text-muted"], spikethickness: 1, spikedash: "dot" });
  }
  for (const note of layout.annotations ?? []) note.font = { color: ink.text, size: 12 };
}

class RunChart {
  constructor(figure) {
    this.figure = figure;
    this.plot = figure.querySelector(".chart-plot");
    this.detail = figure.querySelector(".chart-detail");
    this.note = figure.querySelector(".chart-note");
    this.reset = figure.querySelector("[data-chart-reset]");
    this.span = [Number(figure.dataset.from), Number(figure.dataset.to)];
    this.reset.addEventListener("click", () => this.load(...this.span));
    document.addEventListener("hindsight:theme", () => this.draw());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  async load(from, to) {
    this.request?.abort();
    const request = (this.request = new AbortController());
    this.plot.classList.add("is-loading");
    const address = new URL(this.figure.dataset.chart, location.href);
    address.searchParams.set("from", Math.round(from));
    address.searchParams.set("to", Math.round(to));
    // In steps, so that windows of nearly equal width share an answer of the browser's cache.
    address.searchParams.set("px", Math.max(200, Math.ceil(this.plot.clientWidth / 100) * 100));
    try {
      const response = await fetch(address, { signal: request.signal, headers: { Accept: "application/json" } });
      const answer = await response.json();
      if (!response.ok) throw new Error(answer.message);
      this.answer = answer;
      await this.draw();
    } catch (error) {
      if (error.name === "AbortError") return;
      this.detail.textContent = `The chart cannot be shown. ${error.message ?? ""}`;
    }
    this.plot.classList.remove("is-loading");
  }

  async draw() {
    if (!this.answer) return;
    const ink = readTokens();
    const { data, layout } = structuredClone(this.answer.figure);
    for (const trace of data) paintTrace(trace, ink);
    paintLayout(layout, ink);
    // On a touch screen a drag scrolls the page; the buttons zoom.
    if (matchMedia("(pointer: coarse)").matches) layout.dragmode = false;
    if (this.plot.clientWidth < 600) Object.assign(layout, { showlegend: false });
    await Plotly.react(this.plot, data, layout, CONFIG);
    if (!this.isListening) this.listen();
    this.detail.textContent = this.answer.title;
    this.note.textContent = this.answer.note;
    this.note.hidden = !this.answer.note;
    this.reset.hidden = this.answer.from_ms === this.span[0] && this.answer.to_ms === this.span[1];
    this.figure.dataset.ready = "yes";
  }

  listen() {
    this.isListening = true;
    this.plot.on("plotly_relayout", (change) => {
      const from = change["xaxis.range[0]"] ?? change["xaxis.range"]?.[0];
      const to = change["xaxis.range[1]"] ?? change["xaxis.range"]?.[1];
      if (from === undefined || to === undefined) return;
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.load(readTime(from), readTime(to)), ZOOM_DELAY_MS);
    });
    this.plot.on("plotly_doubleclick", () => this.load(...this.span));
  }
}

function readTime(value) {
  // Plotly writes dates without a zone; they are UTC here.
  return typeof value === "number" ? value : Date.parse(`${String(value).replace(" ", "T")}Z`);
}

for (const figure of document.querySelectorAll("[data-chart]")) {
  const chart = new RunChart(figure);
  chart.load(...chart.span);
}
