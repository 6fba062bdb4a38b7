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

  const draw = ({ plot, spec, state }, printing) => {
    const theme = darkQuery.matches && !(printing || printQuery.matches) ? dark : light;
    const view = spec.views.find((item) => item.key === state.view) || spec.views[0];
    const shared = spec.traces.map((trace, i) => (view && view.x ? { ...trace, x: view.x[i] } : trace));
    const traces = view ? [...view.before, ...shared, ...view.after] : shared;
    const data = traces.map((trace) => ({ ...paint(trace, theme), visible: !hidden(trace, state) }));
    const layout = paint({ ...spec.layout, ...(view ? view.layout : {}) }, theme);
    if (state.tuning) { // tuning runs reach higher than what is compared
      layout.yaxis = { ...layout.yaxis, autorange: true };
      delete layout.yaxis.range;
    }
    const config = { responsive: true, displaylogo: false, displayModeBar: "hover", modeBarButtonsToRemove: ["select2d", "lasso2d"] };
    return Plotly.react(plot, data, layout, config);
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
  }

  const all = (printing) => drawn.forEach((item) => { draw(item, printing); Plotly.Plots.resize(item.plot); });
  darkQuery.addEventListener("change", () => all());
  printQuery.addEventListener("change", () => all());

  // On paper everything is open; afterwards it is as the reader left it.
  const closed = () => [...document.querySelectorAll("details:not([open])")];
  let opened = [];
  addEventListener("beforeprint", () => { opened = closed(); opened.forEach((item) => { item.open = true; }); all(true); });
  addEventListener("afterprint", () => { opened.forEach((item) => { item.open = false; }); all(); });
})();
