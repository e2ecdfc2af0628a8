// SPDX-License-Identifier: Apache-2.0
"use strict";
// Everything is in the page already: this sorts, filters and copies. Only the first
// rows of what matches stand in the document; the others are kept aside.
(() => {
  const step = 250;
  const make = (name, props, ...inside) => { const e = Object.assign(document.createElement(name), props); e.append(...inside); return e; };
  const lists = new Map(); // by the section's id: what was chosen in it

  function list(root, chosen) {
    const body = root.querySelector("tbody");
    if (!body) return;
    const all = [...body.children].map((tr, rank) => ({
      tr, rank, state: tr.className, end: Number(tr.dataset.end), hop: tr.dataset.hop || "",
      title: tr.querySelector("summary").textContent.toLowerCase(), id: tr.querySelector("code").textContent.toLowerCase(), text: null,
    }));
    const at = chosen || { words: "", states: new Set(), hop: "", by: "state", down: false, most: step };
    lists.set(root.id, at);
    let shown = [];

    // The evidence is searched too. Reading it takes longest, so it is done before
    // anybody types.
    const read = (r) => r.text ??= r.tr.textContent.toLowerCase();
    let unread = 0;
    const ahead = (idle) => {
      while (unread < all.length && idle.timeRemaining() > 2) read(all[unread++]);
      if (unread < all.length) later(ahead);
    };
    const later = window.requestIdleCallback || ((f) => setTimeout(() => f({ timeRemaining: () => 3 }), 50));
    later(ahead);

    const keys = { state: (r) => r.rank, title: (r) => r.title, id: (r) => r.id, end: (r) => r.end };
    function show() {
      const words = at.words.toLowerCase().split(/\s+/).filter(Boolean);
      const hit = all.filter((r) => (!at.states.size || at.states.has(r.state)) && (!at.hop || r.hop === at.hop) && words.every((w) => read(r).includes(w)));
      const key = keys[at.by], sign = at.down ? -1 : 1;
      hit.sort((a, b) => { const x = key(a), y = key(b); return x < y ? -sign : x > y ? sign : a.rank - b.rank; });
      shown = hit;
      put();
      for (const th of heads) {
        if (th.dataset.sort === at.by) th.setAttribute("aria-sort", at.down ? "descending" : "ascending");
        else th.removeAttribute("aria-sort");
      }
    }
    function put(most = at.most) {
      body.replaceChildren(...shown.slice(0, most).map((r) => r.tr));
      const n = Math.min(most, shown.length);
      count.value = n < shown.length ? `${n} of ${shown.length} shown` : shown.length < all.length ? `${shown.length} of ${all.length}` : `${all.length} in all`;
      more.hidden = n === shown.length;
      more.textContent = `Show ${Math.min(step, shown.length - n)} more`;
    }

    const search = make("input", { type: "search", placeholder: "Name, code, path, fingerprint …", value: at.words, ariaLabel: "Filter by words" });
    search.addEventListener("input", () => { at.words = search.value; at.most = step; show(); });
    const count = make("output", {});
    const tools = make("div", { className: "tools" }, search);
    const hops = [...new Set(all.map((r) => r.hop).filter(Boolean))];
    if (hops.length > 1) {
      const select = make("select", { ariaLabel: "Filter by hop" }, make("option", { value: "" }, "every hop"), ...[...root.querySelectorAll(".hops [data-hop]")].map((e) => e.dataset.hop).filter((h) => hops.includes(h)).map((h) => make("option", { value: h }, `hop to ${h}`)));
      select.value = at.hop;
      select.addEventListener("change", () => { at.hop = select.value; at.most = step; show(); });
      tools.append(select);
    }
    tools.append(count);
    const table = root.querySelector("table[role=table]");
    table.before(tools);
    const more = make("button", { type: "button", className: "more" });
    more.addEventListener("click", () => { const n = at.most; at.most += step; put(); shown[n]?.tr.querySelector("summary").focus(); });
    table.after(more);

    for (const li of root.querySelectorAll(".counts li")) {
      const state = li.dataset.state;
      const button = make("button", { type: "button", className: state, ariaPressed: String(at.states.has(state)) }, ...li.childNodes);
      button.addEventListener("click", () => {
        if (!at.states.delete(state)) at.states.add(state);
        button.ariaPressed = String(at.states.has(state));
        at.most = step;
        show();
      });
      li.classList.add("made");
      li.replaceChildren(button);
    }
    const heads = [...root.querySelectorAll("th[data-sort]")];
    for (const th of heads) {
      const button = make("button", { type: "button" }, ...th.childNodes);
      button.addEventListener("click", () => { at.down = at.by === th.dataset.sort && !at.down; at.by = th.dataset.sort; show(); });
      th.replaceChildren(button);
    }
    root.reveal = (id) => {
      const n = shown.findIndex((r) => r.tr.id === id);
      if (n >= at.most) { at.most = n + step; put(); }
      return n >= 0;
    };
    root.rows = all;
    root.everything = (on) => put(on ? Infinity : at.most);
    show();
  }

  // A row's button is made when the row is opened.
  document.addEventListener("toggle", (e) => {
    const fix = e.target.open && e.target.querySelector(".fix");
    if (!fix || fix.querySelector("button")) return;
    const button = make("button", { type: "button" }, "Copy");
    const said = make("span", { className: "sr", role: "status" });
    button.addEventListener("click", async () => {
      const text = fix.querySelector("pre").textContent;
      let done = true;
      try { await navigator.clipboard.writeText(text); } catch { done = byHand(fix.querySelector("pre")); }
      button.textContent = done ? "Copied" : "Select and copy";
      said.textContent = done ? "Copied" : "The browser does not allow copying: the command is selected";
      setTimeout(() => { button.textContent = "Copy"; said.textContent = ""; }, 2000);
    });
    fix.append(button, said);
  }, true);
  function byHand(pre) {
    getSelection().selectAllChildren(pre);
    try { return document.execCommand("copy"); } catch { return false; }
  }

  addEventListener("hashchange", () => reveal());
  function reveal() {
    const id = location.hash.slice(1);
    if (!/^t\d+-f[0-9a-f]{16}$/.test(id)) return;
    for (const s of document.querySelectorAll("[data-timeline]")) s.reveal?.(id);
    const row = document.getElementById(id);
    if (row) { row.querySelector("details").open = true; row.scrollIntoView(); }
  }
  const every = (on) => { for (const s of document.querySelectorAll("[data-timeline]")) s.everything?.(on); };
  addEventListener("beforeprint", () => every(true));
  addEventListener("afterprint", () => every(false));

  const begin = () => { for (const s of document.querySelectorAll("[data-timeline]")) list(s, lists.get(s.id)); };
  begin();
  reveal();

  // How old the data are, by the viewer's clock.
  const alert = document.getElementById("alert");
  const say = (text) => { if (alert.textContent !== text) alert.textContent = text; alert.hidden = !text; };
  const seen = () => Date.parse(document.querySelector(".seen time")?.dateTime);
  const age = (ms) => { const m = Math.floor(ms / 6e4), h = Math.floor(m / 60), d = Math.floor(h / 24); return d > 1 ? `${d} days` : h > 1 ? `${h} hours` : m > 1 ? `${m} minutes` : "a minute"; };
  if (!document.body.dataset.version) {
    const old = () => { const ms = Date.now() - seen(); say(ms > 864e5 ? `These data are ${age(ms)} old: what is left is counted from then.` : ""); };
    old();
    setInterval(old, 6e4);
    return;
  }

  // Served: ask now and then whether there is a newer page, and take from it what
  // changed. What is open, chosen or focused stays.
  async function poll() {
    const wait = Math.min(Math.max(Number(document.body.dataset.every) / 4, 2), 15) * 1e3;
    try {
      const answer = await fetch("version", { cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(8e3) });
      if (!answer.ok) throw new Error(String(answer.status));
      const now = await answer.json();
      if (now.version !== document.body.dataset.version) await renew();
      const old = Date.now() - seen();
      if (now.failed) say(`The last look failed: ${now.failed}. What is shown is ${age(old)} old.`);
      else if (old > 3e3 * now.every + 6e4) say(`These data are ${age(old)} old.`);
      else say("");
    } catch {
      say(`perennial serve does not answer: what is shown is ${age(Date.now() - seen())} old.`);
    }
    setTimeout(poll, wait);
  }
  async function renew() {
    const answer = await fetch("./", { cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(3e4) });
    if (!answer.ok) throw new Error(String(answer.status));
    const next = new DOMParser().parseFromString(await answer.text(), "text/html");
    const aside = [...document.querySelectorAll("[data-timeline]")].flatMap((s) => s.rows || []).map((r) => r.tr.querySelector("details[open]")).filter(Boolean);
    const open = new Set([...document.querySelectorAll("details[open]"), ...aside].map(key));
    const focus = key(document.activeElement.closest?.("details") || {}), field = document.activeElement.type === "search" && document.activeElement;
    const place = field && [field.closest("[data-timeline]").id, field.selectionStart, field.selectionEnd];
    const top = scrollY;
    document.title = next.title;
    document.querySelector("link[rel=icon]").href = next.querySelector("link[rel=icon]").href;
    document.querySelector(".top").replaceWith(next.querySelector(".top"));
    document.querySelector("main").replaceWith(next.querySelector("main"));
    document.body.dataset.version = next.body.dataset.version;
    document.body.dataset.every = next.body.dataset.every;
    for (const d of document.querySelectorAll("details")) if (open.has(key(d))) d.open = true;
    begin();
    if (place) { const f = document.querySelector(`#${place[0]} input[type=search]`); f?.focus(); f?.setSelectionRange(place[1], place[2]); }
    else if (focus) for (const d of document.querySelectorAll("details")) if (key(d) === focus) d.querySelector("summary").focus({ preventScroll: true });
    scrollTo({ top, behavior: "instant" });
  }
  function key(details) { return details.closest?.("tr")?.id || details.id || ""; }
  setTimeout(poll, 2e3);
})();
