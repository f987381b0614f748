// What the console's own pages do in the browser: charts, copy buttons, confirmation, live pages.
// Loaded in the head of every page; each part looks for its own elements and is silent without them.
"use strict";
(() => {
  const find = (selector) => [...document.querySelectorAll(selector)];

  // ---- charts ------------------------------------------------------------------------------
  const TONES = {
    light: { primary: "#3b5bdb", green: "#15803d", red: "#dc2626", amber: "#d97706", grey: "#6b7280", line: "#e5e7eb", text: "#4b5563" },
    dark: { primary: "#8fa2ff", green: "#4ade80", red: "#f87171", amber: "#fbbf24", grey: "#9ca3af", line: "#ffffff1f", text: "#c3c8d2" },
  };
  let drawn = [];

  function drawCharts() {
    drawn.forEach((chart) => chart.destroy());
    const tones = TONES[document.documentElement.classList.contains("dark") ? "dark" : "light"];
    drawn = find("canvas[data-chart]").map((canvas) => {
      const data = JSON.parse(document.getElementById(canvas.dataset.chart).textContent);
      return new Chart(canvas, { type: data.kind, data: datasets(data, tones), options: options(data, tones) });
    });
  }

  function datasets(data, tones) {
    return {
      labels: data.labels,
      datasets: data.series.map((series) => ({
        label: series.label,
        data: series.values,
        borderColor: tones[series.tone],
        backgroundColor: data.kind === "bar" ? tones[series.tone] : "transparent",
        borderWidth: data.kind === "bar" ? 0 : 2,
        borderRadius: 3,
        maxBarThickness: 28,
        pointRadius: data.labels.length > 45 ? 0 : 2.5,
        tension: 0.25,
        spanGaps: false,
      })),
    };
  }

  function options(data, tones) {
    const ticks = { color: tones.text, maxRotation: 0, autoSkipPadding: 14, precision: 0 };
    const fixed = data.unit === "%" ? { min: 0, max: 100 } : { beginAtZero: true };
    return {
      responsive: true,
      maintainAspectRatio: false,
      animation: matchMedia("(prefers-reduced-motion: reduce)").matches ? false : { duration: 250 },
      interaction: { mode: "index", intersect: false },
      scales: {
        x: { stacked: data.is_stacked, grid: { display: false }, border: { color: tones.line }, ticks },
        y: { ...fixed, stacked: data.is_stacked, grid: { color: tones.line }, border: { display: false }, ticks: { ...ticks, maxTicksLimit: 6 } },
      },
      plugins: {
        legend: { display: data.series.length > 1, position: "bottom", labels: { color: tones.text, boxWidth: 10, boxHeight: 10 } },
        tooltip: { callbacks: { label: (item) => ` ${item.dataset.label}: ${item.formattedValue} ${data.unit}` } },
      },
    };
  }

  // ---- copy and confirm --------------------------------------------------------------------
  async function copy(button) {
    const box = button.parentElement;
    const source = box.querySelector("[data-copy-source]");
    try {
      await navigator.clipboard.writeText(source.textContent);
    } catch {
      getSelection().selectAllChildren(source); // an insecure origin has no clipboard: select it instead
      document.execCommand("copy");
    }
    const words = button.textContent;
    button.textContent = box.querySelector("[data-copy-status]").textContent = button.dataset.copied;
    setTimeout(() => { button.textContent = words; }, 2000);
  }

  // ---- the transcript while an answer is made ----------------------------------------------
  async function followTranscript(box) {
    const mark = document.querySelector("[data-live-mark]");
    for (;;) {
      await pause(box.dataset.running === "1" ? 700 : 4000);
      if (document.hidden) continue;
      const query = new URLSearchParams(location.search);
      query.set("version", box.dataset.version);
      const news = await ask(`${box.dataset.live}?${query}`);
      if (!news) continue;
      box.dataset.running = news.is_running ? "1" : "0";
      mark.hidden = !news.is_running;
      if (news.html && !box.contains(document.activeElement?.closest?.("form"))) show(box, news);
    }
  }

  function show(box, news) {
    const open = new Set(find("#pc-transcript details[open]").map((details) => details.id));
    const isAtEnd = innerHeight + scrollY > document.body.scrollHeight - 80;
    box.dataset.version = news.version;
    box.innerHTML = news.html; // rendered and sanitised by the server
    open.forEach((id) => document.getElementById(id)?.setAttribute("open", ""));
    if (isAtEnd) scrollTo(0, document.body.scrollHeight);
  }

  // ---- the page of jobs ----------------------------------------------------------------------
  async function followJobs(address) {
    for (;;) {
      const active = find(".pc-progress").filter((bar) => ["waiting", "running"].includes(bar.dataset.state));
      if (!active.length) return;
      await pause(1000);
      const news = document.hidden ? null : await ask(address);
      if (!news) continue;
      const known = new Map(news.jobs.map((job) => [job.id, job]));
      for (const bar of active) {
        const job = known.get(bar.dataset.job);
        if (!job) continue;
        if (["done", "failed"].includes(job.state)) return location.reload();
        bar.querySelector("progress").max = job.total || 1;
        bar.querySelector("progress").value = job.done;
        bar.querySelector("span").textContent = `${job.done} / ${job.total}`;
      }
    }
  }

  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

  async function ask(address) {
    try {
      const response = await fetch(address, { headers: { Accept: "application/json" } });
      return response.ok && !response.redirected ? await response.json() : null;
    } catch {
      return null; // away for a moment: asked again
    }
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-copy]");
    if (button) copy(button);
  });
  document.addEventListener("submit", (event) => {
    const question = event.target.dataset?.confirm;
    if (question && !confirm(question)) event.preventDefault();
  });
  document.addEventListener("DOMContentLoaded", () => {
    if (find("canvas[data-chart]").length) {
      drawCharts();
      new MutationObserver(drawCharts).observe(document.documentElement, { attributeFilter: ["class"] });
    }
    const box = document.getElementById("pc-transcript");
    if (box) followTranscript(box);
    const jobs = document.querySelector("[data-jobs-live]");
    if (jobs) followJobs(jobs.dataset.jobsLive);
  });
})();
