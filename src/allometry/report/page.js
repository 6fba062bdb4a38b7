/* Draws the figures from the JSON beside this script, and keeps them in step with the controls, the theme and the paper. */
(() => {
  "use strict";
  const { figures, light, dark } = JSON.parse(document.getElementById("data").textContent);
  const darkQuery = matchMedia("(prefers-color-scheme: dark)");
  const printQuery = matchMedia("print");
  const drawn = [];

  // "@ink" and the like are colours of the theme.
  const paint = (value, theme) => {
    if (typeof value === "string") return value[0] === "@" ? theme[value.slice(1)] || value : value;
    if (Array.isArray(value)) return typeof value[0] === "object" ? value.map((item) => paint(item, theme)) : value;
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, paint(item, theme)]));
  };

  const hidden = (trace, state) => {
    const meta = trace.meta || {};
    if (meta.stage === "tune" && !state.tuning) return true;
    if (meta.law !== undefined && state.law !== undefined && meta.law !== state.law) return true;
    return meta.group !== undefined && state.off.has(meta.group);
  };

  // Plotly writes bare digits between the powers of ten; these are whole numbers, as many as the axis has room for.
  const STEPS = [[1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 2, 3, 5, 7], [1, 2, 5], [1, 3], [1]];
  const superscript = (text) => text.replace(/[-0-9]/g, (sign) => (sign === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[sign]));
  const written = (step, power) => {
    if (power >= -2 && power < 4) return String(Number(`${step}e${power}`));
    return `${step === 1 ? "" : `${step}×`}10${superscript(String(power))}`;
  };
  const ticks = ([low, high], pixels, room) => {
    let found = [];
    for (const every of [1, 2, 3, 5, 10]) {
      for (const steps of every === 1 ? STEPS : [[1]]) {
        found = [];
        for (let power = Math.floor(low / every) * every; power <= high; power += every) {
          for (const step of steps) {
            const place = power + Math.log10(step);
            if (place >= low && place <= high) found.push({ place, value: Number(`${step}e${power}`), text: written(step, power) });
          }
        }
        const gaps = found.slice(1).map((tick, i) => ((tick.place - found[i].place) / (high - low)) * pixels);
        if (gaps.every((gap) => gap >= room)) return found;
      }
    }
    return found;
  };
  const label = (plot) => {
    const changes = {};
    const { width = plot.clientWidth, height = plot.clientHeight, margin } = plot.layout;
    for (const [name, room, pixels] of [["xaxis", 52, width - margin.r - 65], ["yaxis", 26, height - 60]]) {
      const axis = plot.layout[name];
      if (plot.layout.meta?.ticks === name) continue; // it names its own ticks
      const [low, high] = [...(axis?.range || [])].sort((a, b) => a - b);
      const wide = axis?.type === "log" && high - low > 0.6; // a shorter axis has plain numbers
      const found = wide ? ticks([low, high], pixels, room) : [];
      const mode = found.length > 1 ? "array" : "auto";
      const values = mode === "array" ? found.map((tick) => tick.value) : null;
      if ((axis?.tickmode || "auto") === mode && String(axis?.tickvals || "") === String(values || "")) continue;
      changes[`${name}.tickmode`] = mode;
      changes[`${name}.tickangle`] = mode === "array" ? 0 : "auto";
      changes[`${name}.tickvals`] = values;
      changes[`${name}.ticktext`] = mode === "array" ? found.map((tick) => tick.text) : null;
    }
    if (Object.keys(changes).length) Plotly.relayout(plot, changes);
  };

  const draw = ({ plot, spec, state }, printing) => {
    const paper = printing || printQuery.matches;
    const theme = darkQuery.matches && !paper ? dark : light;
    const view = spec.views.find((item) => item.key === state.view) || spec.views[0];
    const shared = spec.traces.map((trace, i) => (view && view.x ? { ...trace, x: view.x[i] } : trace));
    const traces = view ? [...view.before, ...shared, ...view.after] : shared;
    const data = traces.map((trace) => ({ ...paint(trace, theme), visible: !hidden(trace, state) }));
    const layout = paint({ ...spec.layout, ...(view ? view.layout : {}) }, theme);
    if (state.tuning) { // tuning runs reach higher than what is compared
      layout.yaxis = { ...layout.yaxis, autorange: true };
      delete layout.yaxis.range;
    }
    if (paper) { // a page is laid out before a figure could follow its width: A4 and Letter have at least this much
      const half = plot.closest(".panel");
      Object.assign(layout, { width: half ? 335 : 690, height: plot.closest(".short") ? 220 : 330 });
    }
    const config = { responsive: true, displaylogo: false, displayModeBar: "hover", modeBarButtonsToRemove: ["select2d", "lasso2d"] };
    const resized = Boolean(plot.layout?.width) && !paper; // back from paper
    Plotly.react(plot, data, layout, config);
    label(plot);
    if (resized) Plotly.Plots.resize(plot);
  };

  for (const box of document.querySelectorAll("[data-figure]")) {
    const select = (name) => box.querySelector(`[data-control=${name}]`);
    const [view, law, tuning] = ["view", "law", "tuning"].map(select);
    const read = () => ({ view: view?.value, law: law?.value, tuning: Boolean(tuning?.checked) });
    const item = { plot: box.querySelector(".plot"), spec: figures[box.dataset.figure], state: { ...read(), off: new Set() } };
    const again = () => { Object.assign(item.state, read()); draw(item); };
    for (const control of [view, law, tuning]) control?.addEventListener("change", again);
    for (const button of box.querySelectorAll("[data-group]")) {
      button.addEventListener("click", () => {
        const group = Number(button.dataset.group);
        if (!item.state.off.delete(group)) item.state.off.add(group);
        button.setAttribute("aria-pressed", String(!item.state.off.has(group)));
        draw(item);
      });
    }
    drawn.push(item);
    draw(item);
    item.plot.on("plotly_relayout", () => label(item.plot)); // after zooming and turning the phone
  }

  const all = (printing) => drawn.forEach((item) => draw(item, printing));
  darkQuery.addEventListener("change", () => all());
  printQuery.addEventListener("change", () => all());

  // On paper everything is open; afterwards it is as the reader left it.
  const closed = () => [...document.querySelectorAll("details:not([open])")];
  let opened = [];
  addEventListener("beforeprint", () => { opened = closed(); opened.forEach((item) => { item.open = true; }); all(true); });
  addEventListener("afterprint", () => { opened.forEach((item) => { item.open = false; }); all(); });
})();
